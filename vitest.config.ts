import { defineConfig } from "vitest/config"
import { reporter } from "./scripts/TestCount.js"
import projects from "./vitest.workspace.js"

export default defineConfig({ test: { projects, reporters: ["default", reporter()] } })
