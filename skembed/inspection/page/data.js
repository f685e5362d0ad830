// The data of the page: what is packed in it, unpacked.

async function unzip(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Numbers whose lowest bytes come first, then the next, as an array of the given type.
async function unpack(text, Type) {
  const planes = await unzip(text), size = Type.BYTES_PER_ELEMENT, n = planes.length / size;
  const bytes = new Uint8Array(planes.length);
  for (let b = 0; b < size; b++) for (let i = 0, from = b * n; i < n; i++) bytes[i * size + b] = planes[from + i];
  return new Type(bytes.buffer);
}

async function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.keys = JSON.parse(new TextDecoder().decode(await unzip(data.keys)));
  const steps = await unpack(data.coordinates, Uint16Array);
  data.coordinates = Float32Array.from(steps, (step) => step / 32767.5 - 1);
  if (data.nNeighbors) {
    data.neighbors = await unpack(data.neighbors, Uint32Array);
    const scores = await unpack(data.scores, Uint16Array), range = data.scoreHigh - data.scoreLow;
    data.scores = Float32Array.from(scores, (step) => data.scoreLow + (step / 65535) * range);
  }
  for (const field of data.fields) {
    if (field.numbers) {
      field.numbers = await unpack(field.numbers, field.isDouble ? Float64Array : Float32Array);
    } else {
      field.codes = await unpack(field.codes, Uint32Array);
      field.groupOf = await unpack(field.groupOf, Uint8Array);
    }
  }
  if (data.sizes) data.sizes = await unpack(data.sizes, Uint8Array);
  data.labels = data.labels ? await unpack(data.labels, Uint32Array) : new Uint32Array(0);
  return data;
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

// A colour of the ramp for a share between 0 and 1; the ends that vanish on the paper are left out.
function rampColor(ramp, share, dark) {
  const place = (dark ? 0.14 + 0.86 * share : 0.95 * share) * (ramp.length - 1);
  const j = Math.min(Math.floor(place), ramp.length - 2), a = ramp[j], b = ramp[j + 1];
  return a.map((value, c) => Math.round(value + (b[c] - value) * (place - j)));
}

function format(number) {
  if (!isFinite(number)) return "missing";
  const size = Math.abs(number);
  if (Number.isInteger(number) && size < 1e15) return number.toLocaleString("en");
  return size >= 1000 ? Math.round(number).toLocaleString("en") : size && size < 0.001 ? number.toExponential(2)
    : String(+number.toPrecision(4));
}

// Which points lie where: cells of a square grid over the map, each with its points in a row.
class Grid {
  constructor(xy) {
    const n = xy.length / 2;
    this.xy = xy;
    this.side = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(n / 3))));
    this.starts = new Uint32Array(this.side * this.side + 1);
    const cells = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      cells[i] = this.cell(xy[2 * i + 1]) * this.side + this.cell(xy[2 * i]);
      this.starts[cells[i] + 1]++;
    }
    for (let c = 0; c < this.side * this.side; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.items = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.items[next[cells[i]]++] = i;
  }

  cell(value) { // turned maps reach beyond -1..1, to the corners of the cube
    return Math.max(0, Math.min(this.side - 1, Math.floor(((value / 1.75 + 1) / 2) * this.side)));
  }

  // The point nearest to (x, y) within a distance, or -1.
  nearest(x, y, within) {
    let best = -1, least = within * within;
    for (let row = this.cell(y - within); row <= this.cell(y + within); row++) {
      const from = row * this.side;
      for (let k = this.starts[from + this.cell(x - within)]; k < this.starts[from + this.cell(x + within) + 1]; k++) {
        const i = this.items[k], dx = this.xy[2 * i] - x, dy = this.xy[2 * i + 1] - y, d = dx * dx + dy * dy;
        if (d <= least) { least = d; best = i; }
      }
    }
    return best;
  }
}
