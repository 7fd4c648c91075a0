import { Effect } from "effect"
import { join } from "node:path"
import { type Image, images, pack } from "../../images/image.ts"
import { packScenarioImage, scenarioImages } from "./images.ts"

const isProduct = (name: string): name is Image => images.some((image) => image === name)

/** Everything a cluster has to be given: the product's images and those of the scenarios. */
export const allImages: ReadonlyArray<string> = [...scenarioImages, ...images]

/**
 * Packs images into a folder.
 *
 * @param names of {@link allImages}
 * @returns path of the archive by image id
 */
export const packImages = (
  names: ReadonlyArray<string>,
  folder: string
): Effect.Effect<ReadonlyMap<string, string>> => {
  const one = (name: string) =>
    Effect.promise(async () => {
      const out = join(folder, `${name}.tar`)
      const { id } = isProduct(name) ? await pack(name, out) : await packScenarioImage(name, out)
      return [id, out] as const
    })
  return Effect.forEach(names, one, { concurrency: 2 }).pipe(Effect.map((archives) => new Map(archives)))
}
