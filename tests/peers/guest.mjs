// Makes a component of the connector in guest.js: node guest.mjs MODULES SOURCE WIT OUTPUT
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, sourcePath, witPath, output] = process.argv.slice(2);
const library = join(modules, "@bytecodealliance/componentize-js/src/componentize.js");
const { componentize } = await import(pathToFileURL(library));
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName: "connector-plugin",
  // Answers requests that come in: a connector has none.
  disableFeatures: ["fetch-event"],
});
await writeFile(output, component);
