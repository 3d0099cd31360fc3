import * as stopping from "../src/internal/stopping.js"
import { stoppingSweep } from "./support/stoppingSweep.js"

// Module state: it holds for this file alone, which is why the two ways have files of their own.
stopping.forceChildFiber(true)

stoppingSweep("a child fiber")
