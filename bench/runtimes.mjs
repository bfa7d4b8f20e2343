// One exported net in a runtime of JavaScript, for runtimes.py: node runtimes.mjs RUNTIME FILE SIDES INPUT OUTPUT COUNT.
// INPUT: float32 of these SIDES; OUTPUT: the outputs one after the other. Prints JSON: names and shapes of the outputs,
// milliseconds of processor time of each of COUNT calls. Packages are those of the folder it runs in.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

const [runtime, file, sides, input, output, count] = process.argv.slice(2);
const packages = createRequire(path.join(process.cwd(), "package.json"));
const shape = sides.split(",").map(Number);
const bytes = fs.readFileSync(input);
const x = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

async function onnx(name) {
  const ort = packages(name);
  if (ort.env.wasm) ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(fs.readFileSync(file), { intraOpNumThreads: 1 });
  return async () => {
    const found = await session.run({ input: new ort.Tensor("float32", x, shape) });
    return Object.entries(found).map(([head, tensor]) => [head, tensor.dims, tensor.data]);
  };
}

async function tensorflow(backend) {
  const tf = packages("@tensorflow/tfjs");
  if (backend === "wasm") {
    const wasm = packages("@tensorflow/tfjs-backend-wasm");
    wasm.setThreadsCount(1);
    wasm.setWasmPaths(path.dirname(packages.resolve("@tensorflow/tfjs-backend-wasm")) + path.sep);
  }
  await tf.setBackend(backend);
  const { weightsManifest, ...model } = JSON.parse(fs.readFileSync(file));
  const data = fs.readFileSync(path.join(path.dirname(file), weightsManifest[0].paths[0]));
  const graph = await tf.loadGraphModel(tf.io.fromMemory({ ...model, weightSpecs: weightsManifest[0].weights,
    weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) }));
  const heads = Object.entries(model.signature.outputs);
  return async () => {
    const tensors = tf.tidy(() => graph.execute({ input: tf.tensor(x, shape) }, heads.map(([, out]) => out.name)));
    const found = heads.map(([head], i) => [head, tensors[i].shape, tensors[i].dataSync()]);
    tensors.forEach(tensor => tensor.dispose());
    return found;
  };
}

const run = await (runtime.startsWith("onnxruntime") ? onnx(runtime) : tensorflow(runtime));
let found = await run();
fs.writeFileSync(output, Buffer.concat(found.map(([, , data]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))));
const milliseconds = [];
for (let i = 0; i < Number(count); i++) {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  milliseconds.push((user + system) / 1000);
}
console.log(JSON.stringify({ outputs: found.map(([head, sides]) => [head, sides]), milliseconds }));
