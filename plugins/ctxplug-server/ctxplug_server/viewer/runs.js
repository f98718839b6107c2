// Runs of fates: [first, last, fate, form, row, count] over the messages of a conversation, as
// /calls/N tells them. `row` is that of the first message in the lines.

// The run that a version is in, null if it is no message.
export function runOf(runs, version) {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (runs[middle][0] <= version) low = middle;
    else high = middle - 1;
  }
  const run = runs[low];
  return run && run[0] <= version && version <= run[1] ? run : null;
}

// The row of the newest message up to version `head`, near enough to show it.
export function rowNear(runs, head) {
  const run = [...runs].reverse().find(([first]) => first <= head);
  if (!run) return 0;
  const [first, last, , , row, count] = run;
  const part = last > first ? Math.min(1, (head - first) / (last - first)) : 0;
  return Math.round(row + part * (count - 1));
}

// How many messages have each fate.
export function counted(runs) {
  const counts = {};
  for (const [, , fate, , , count] of runs) counts[fate] = (counts[fate] || 0) + count;
  return counts;
}
