// Compiles the contracts into artifacts/, which is committed: building and testing the crate
// needs no node. `npm run build` rewrites them, `npm run check` says whether they differ.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = fileURLToPath(new URL(".", import.meta.url));
const artifacts = join(here, "artifacts");
const sources = Object.fromEntries(
  readdirSync(here)
    .filter((name) => name.endsWith(".sol"))
    .sort()
    .map((name) => [name, { content: readFileSync(join(here, name), "utf8") }]),
);
const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources,
      settings: {
        evmVersion: "cancun",
        viaIR: true,
        optimizer: { enabled: true, runs: 100000 },
        // Bytecode that depends on the source alone.
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: {
          "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] },
        },
      },
    }),
  ),
);
for (const message of output.errors ?? []) {
  console.error(message.formattedMessage);
}
if (output.errors?.length) {
  process.exit(1);
}

const check = process.argv.includes("--check");
let differs = false;
mkdirSync(artifacts, { recursive: true });

function put(name, text) {
  const path = join(artifacts, name);
  if (!check) {
    writeFileSync(path, text);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`${name} is not what the sources compile to`);
    differs = true;
  }
}

for (const [source, contracts] of Object.entries(output.contracts)) {
  for (const [contract, { abi, evm, storageLayout }] of Object.entries(contracts)) {
    if (evm.bytecode.object === "") continue;
    const description = {
      contract,
      source,
      compiler: solc.version(),
      storage: Object.fromEntries(storageLayout.storage.map(({ label, slot }) => [label, Number(slot)])),
      abi,
    };
    put(`${contract}.json`, `${JSON.stringify(description, null, 1)}\n`);
    // The suffixes are the compiler's own. No line end: Rust decodes these at compile time.
    put(`${contract}.bin`, evm.bytecode.object);
    put(`${contract}.bin-runtime`, evm.deployedBytecode.object);
  }
}
process.exit(differs ? 1 : 0);
