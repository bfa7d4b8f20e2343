// Runs the detector beside the page, so that the page stays responsive. Message in: {id, image: ImageData, minFace, thresholds}.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need headers that not every static server sends
const session = ort.InferenceSession.create(new URL("./detector.onnx", import.meta.url).href, {
  executionProviders: ["wasm"],
});
session.then(() => postMessage({ ready: true }), error => postMessage({ error: String(error) }));

function rgb({ data, width, height }) {
  const pixels = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < pixels.length; from += 4) {
    pixels[to++] = data[from];
    pixels[to++] = data[from + 1];
    pixels[to++] = data[from + 2];
  }
  return new ort.Tensor("uint8", pixels, [height, width, 3]);
}

onmessage = async ({ data: { id, image, minFace, thresholds } }) => {
  try {
    const start = performance.now();
    const found = await (await session).run({
      image: rgb(image),
      min_face: new ort.Tensor("float32", [minFace], []),
      thresholds: new ort.Tensor("float32", thresholds, [3]),
    });
    const answer = { id, ms: performance.now() - start };
    for (const [name, { data, dims }] of Object.entries(found)) answer[name] = { data: Array.from(data), dims };
    postMessage(answer);
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
