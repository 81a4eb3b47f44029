// Peer: an upload by tus-js-client, as in tus_clients.py, in one request for the whole file, which is its default.

import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, file, endpoint, state] = process.argv.slice(2);
const { Upload } = createRequire(`${folder}/package.json`)("tus-js-client");

const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadUrl: existsSync(state) ? readFileSync(state, "utf8") : null,
  uploadSize: statSync(file).size,
  retryDelays: Array(30).fill(1000),
  metadata: { filename: "payload" },
  onUploadUrlAvailable: () => writeFileSync(state, upload.url),
  onSuccess: () => process.exit(0),
  onError: (error) => {
    console.error(error.message);
    process.exit(1);
  },
});
upload.start();
