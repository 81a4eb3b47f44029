// A client of tus 1.0.0 without dependencies. The URL of an unfinished upload is kept by the file's name, size and date,
// so that the page may be closed in the middle.

const VERSION = { "Tus-Resumable": "1.0.0" };
const PAUSES = [500, 1000, 2000, 4000, 8000]; // milliseconds, after failures without progress
const input = document.querySelector("input");
const bar = document.querySelector("progress");
const state = document.querySelector("#state");
const list = document.querySelector("ul");

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const label = (file) => `upload ${file.name} ${file.size} ${file.lastModified}`;

async function create(file) {
  const headers = { ...VERSION, "Upload-Length": file.size, "Upload-Metadata": `filename ${base64(file.name)}` };
  const response = await fetch("/files/", { method: "POST", headers });
  if (response.status !== 201) throw new Error(await response.text());
  const url = response.headers.get("Location");
  localStorage.setItem(label(file), url);
  return url;
}

async function offsetOf(url) {
  const response = await fetch(url, { method: "HEAD", headers: VERSION });
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return Number(response.headers.get("Upload-Offset"));
}

// XMLHttpRequest, since fetch does not report the progress of a body.
function send(url, file, offset) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", url);
    const headers = { ...VERSION, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => show(file, offset + event.loaded);
    request.onload = () => (request.status === 204 ? resolve() : reject(new Error(request.responseText)));
    request.onerror = () => reject(new Error("the connection is broken"));
    request.send(file.slice(offset));
  });
}

function show(file, count) {
  bar.value = file.size ? count / file.size : 1;
  state.textContent = `${file.name}: ${Math.floor(100 * bar.value)} %`;
}

async function upload(file) {
  let failures = 0;
  let reached = -1;
  for (;;) {
    try {
      const known = localStorage.getItem(label(file));
      let offset = known ? await offsetOf(known) : null;
      const url = offset === null ? await create(file) : known;
      offset ??= 0;
      if (offset > reached) failures = 0;
      reached = Math.max(reached, offset);
      show(file, offset);
      if (offset < file.size) await send(url, file, offset);
      localStorage.removeItem(label(file));
      show(file, file.size);
      return;
    } catch (error) {
      if (failures === PAUSES.length) throw error;
      state.textContent = `${file.name}: ${error.message}; trying again`;
      await pause(PAUSES[failures++]);
    }
  }
}

async function refresh() {
  const names = await (await fetch("/complete")).json();
  list.replaceChildren(...names.map((name) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `/complete/${encodeURIComponent(name)}`;
    link.textContent = name.slice(name.indexOf("-") + 1);
    item.append(link);
    return item;
  }));
}

input.addEventListener("change", async () => {
  const [file] = input.files;
  input.disabled = true;
  try {
    await upload(file);
    state.textContent = `${file.name} is complete.`;
  } catch (error) {
    state.textContent = `${file.name} failed: ${error.message}`;
  }
  input.disabled = false;
  await refresh();
});

await refresh();
