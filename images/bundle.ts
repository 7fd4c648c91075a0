import { relative, resolve } from "node:path"
import { build, type Plugin } from "rolldown"

const repository = resolve(import.meta.dirname, "..")

/**
 * Maps our own sources only. Node keeps a map in memory from the start: one of all libraries takes a writer 35 MB and a third of
 * its start time (measured), and says nothing that the library's name in the bundle does not.
 */
const mapOwnSources: Plugin = {
  name: "map-own-sources",
  transform: {
    filter: { id: /\/node_modules\// },
    handler: (code) => ({ code, map: { mappings: "" } })
  }
}

/**
 * Bundles a program with all that it imports into one ES module, and its source map beside it. The map names sources by their
 * paths in the repository and does not hold their text.
 *
 * @param entry path in the repository
 * @param file path to write; its name ends in `.mjs`, so that no package.json needs to lie beside it
 * @returns absolute paths of the modules that are in it
 */
export const bundle = async (entry: string, file: string): Promise<ReadonlyArray<string>> => {
  const { output } = await build({
    cwd: repository,
    input: resolve(repository, entry),
    platform: "node",
    external: ["pg-native"], // pg tries it and goes on without
    plugins: [mapOwnSources],
    tsconfig: false,
    logLevel: "warn",
    output: {
      file,
      format: "esm",
      codeSplitting: false,
      comments: { annotation: false, jsdoc: false, legal: true },
      sourcemap: true,
      sourcemapExcludeSources: true,
      sourcemapPathTransform: (source, map) => relative(repository, resolve(map, "..", source))
    }
  })
  return output[0].moduleIds
}
