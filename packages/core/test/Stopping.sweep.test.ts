import { stoppingSweep } from "./support/stoppingSweep.js"

stoppingSweep("the caller's own fiber")
