import * as fc from "fast-check"

// A mutant is killed by the first counterexample: making it small would only cost time.
fc.configureGlobal({ endOnFailure: true })
