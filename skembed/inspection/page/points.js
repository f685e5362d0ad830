// Drawing the points: WebGL, and a plain canvas where there is none. Both take the same state:
// xy (Float32Array 2n), colors (Uint8Array 4n), radii and shapes (Float32Array n, 0 circle, 1 triangle).

const VERTEX = `
attribute vec2 position; attribute vec4 color; attribute float radius; attribute float shape;
uniform vec2 centre; uniform vec2 zoom; uniform float grow;
varying vec4 tint; varying float kind; varying float size;
void main() {
  gl_Position = vec4((position - centre) * zoom, 0.0, 1.0);
  size = 2.0 * radius * grow + 1.0;
  gl_PointSize = size; tint = color; kind = shape;
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 tint; varying float kind; varying float size;
uniform float opacity;
void main() {
  vec2 at = 2.0 * gl_PointCoord - 1.0;
  float edge = length(at);
  if (kind > 0.5) edge = max(abs(at.x) * 0.878 - at.y * 0.479 + 0.545, at.y + 0.3);
  float inside = clamp((1.0 - edge) * size * 0.5 + 0.5, 0.0, 1.0);
  float alpha = inside * tint.a * opacity;
  gl_FragColor = vec4(tint.rgb * alpha, alpha);
}`;

class WebGLPoints {
  static on(canvas, evenIfSlow) { // where a processor plays the graphics card, pixels written one by one are quicker
    if (!evenIfSlow && WebGLPoints.isSlow()) return null;
    const gl = canvas.getContext("webgl", { antialias: false });
    if (!gl) return null;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return gl.getProgramParameter(program, gl.LINK_STATUS) ? new WebGLPoints(gl, program) : null;
  }

  static isSlow() { // asked of another canvas: one that has given one kind of context gives no other
    const gl = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
    if (!gl) return true;
    const named = gl.getExtension("WEBGL_debug_renderer_info");
    const name = gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return /swiftshader|llvmpipe|software|basic render/i.test(name);
  }

  constructor(gl, program) {
    this.name = "WebGL";
    this.gl = gl;
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.uniforms = {};
    for (const name of ["centre", "zoom", "grow", "opacity"]) this.uniforms[name] = gl.getUniformLocation(program, name);
    this.buffers = {};
    for (const [name, size, type] of [["position", 2, gl.FLOAT], ["color", 4, gl.UNSIGNED_BYTE], ["radius", 1, gl.FLOAT],
      ["shape", 1, gl.FLOAT]]) {
      const place = gl.getAttribLocation(program, name);
      this.buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
    }
  }

  set(state) {
    const gl = this.gl;
    for (const [name, values] of [["position", state.xy], ["color", state.colors], ["radius", state.radii],
      ["shape", state.shapes]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    }
    this.n = state.radii.length;
  }

  draw(view, grow, opacity) {
    const gl = this.gl, ratio = view.ratio;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniforms.centre, view.x, view.y);
    gl.uniform2f(this.uniforms.zoom, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
    gl.uniform1f(this.uniforms.grow, grow * ratio);
    gl.uniform1f(this.uniforms.opacity, opacity);
    gl.drawArrays(gl.POINTS, 0, this.n);
  }
}

class CanvasPoints {
  constructor(canvas) {
    this.name = "canvas";
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  set(state) {
    this.state = state;
    this.inks = new Uint32Array(state.colors.buffer);
  }

  // A circle of many pixels is a path of its own; of few, pixels written one by one, which is far quicker.
  draw(view, grow, opacity) {
    const { context, canvas } = this, { xy, radii } = this.state, n = radii.length, ratio = view.ratio;
    const scale = view.scale * ratio, midX = canvas.width / 2 - view.x * scale, midY = canvas.height / 2 + view.y * scale;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (n <= 3000) return this.drawPaths(scale, midX, midY, grow * ratio, opacity);
    const width = canvas.width, height = canvas.height, image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer), veil = (Math.round(255 * opacity) << 24) | 0xffffff;
    for (let i = 0; i < n; i++) {
      const x = midX + xy[2 * i] * scale, y = midY - xy[2 * i + 1] * scale, r = radii[i] * grow * ratio;
      if (!(x > -r && y > -r && x < width + r && y < height + r) || !(this.inks[i] >>> 24)) continue;
      const ink = this.inks[i] & veil, rr = r * r + 0.3;
      for (let py = Math.max(0, Math.ceil(y - r)); py <= Math.min(height - 1, y + r); py++) {
        const half = Math.sqrt(Math.max(0, rr - (py - y) * (py - y))), end = Math.min(width - 1, x + half);
        for (let px = Math.max(0, Math.ceil(x - half)); px <= end; px++) pixels[py * width + px] = ink;
      }
    }
    context.putImageData(image, 0, 0);
  }

  drawPaths(scale, midX, midY, grow, opacity) {
    const { context } = this, { xy, radii, colors, shapes } = this.state;
    for (let i = 0; i < radii.length; i++) {
      const x = midX + xy[2 * i] * scale, y = midY - xy[2 * i + 1] * scale, r = radii[i] * grow;
      context.fillStyle = `rgba(${colors[4 * i]},${colors[4 * i + 1]},${colors[4 * i + 2]},`
        + `${(colors[4 * i + 3] / 255) * opacity})`;
      context.beginPath();
      if (shapes[i]) { context.moveTo(x, y - r); context.lineTo(x + r, y + r * 0.8); context.lineTo(x - r, y + r * 0.8); }
      else context.arc(x, y, r, 0, 2 * Math.PI);
      context.fill();
    }
  }
}
