// Patterns: fills that are told apart without colour; the same names are classes in style/plot.css.

const TILE = 8; // pixels of one repeat

const STROKES = {
  solid: [],
  rising: [[0, 8, 8, 0], [-2, 2, 2, -2], [6, 10, 10, 6]],
  falling: [[0, 0, 8, 8], [6, -2, 10, 2], [-2, 6, 2, 10]],
  level: [[0, 2, 8, 2], [0, 6, 8, 6]],
  upright: [[2, 0, 2, 8], [6, 0, 6, 8]],
  cross: [[0, 0, 8, 8], [0, 8, 8, 0]],
  dots: [[1.5, 2, 3, 2], [5.5, 6, 7, 6]],
  grid: [[0, 4, 8, 4], [4, 0, 4, 8]],
};

// The names of all patterns, in the order in which unnamed series take them.
export const PATTERNS = Object.keys(STROKES);

// Return an opaque canvas fill of `colour` with the lines of `pattern` in `line`.
export function patternFill(context, colour, pattern, line) {
  const strokes = STROKES[pattern] ?? [];
  if (!strokes.length) return colour;
  const scale = window.devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(TILE * scale);
  const drawn = tile.getContext("2d");
  drawn.scale(tile.width / TILE, tile.height / TILE);
  drawn.fillStyle = colour;
  drawn.fillRect(0, 0, TILE, TILE);
  drawn.strokeStyle = line;
  drawn.lineWidth = pattern === "dots" ? 1.6 : 1;
  drawn.beginPath();
  for (const [x1, y1, x2, y2] of strokes) {
    drawn.moveTo(x1, y1);
    drawn.lineTo(x2, y2);
  }
  drawn.stroke();
  return context.createPattern(tile, "repeat");
}
