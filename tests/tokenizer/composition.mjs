// What Unicode's composed form (NFC) needs, worked out from String.prototype.normalize: the framework cannot compose where globalization is
// invariant. Hangul is arithmetic and not in the tables.

const points = [];
for (let c = 0x80; c < 0x30000; c++) if ((c < 0xd800 || c > 0xdfff) && !(c >= 0xac00 && c <= 0xd7a3)) points.push(c);
const text = String.fromCodePoint;
const codes = (s) => [...s].map((c) => c.codePointAt(0));

/** True when b, standing behind a, moves before it: a has the greater class and neither is a starter. */
function swaps(a, b) {
  const [wholeA, wholeB] = [text(a).normalize('NFD'), text(b).normalize('NFD')];
  return (wholeA + wholeB).normalize('NFD') !== wholeA + wholeB;
}

/** Each mark with the rank of its combining class; only the order of classes matters. */
function marks() {
  // U+0334 has the lowest class there is, U+0345 the highest.
  const found = points.filter((c) => text(c).normalize('NFD') === text(c) && (c === 0x345 || c === 0x334 || swaps(c, 0x334) || swaps(0x345, c)));
  const classes = [];
  for (const mark of found) {
    let low = 0;
    let high = classes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (swaps(mark, classes[middle][0])) low = middle + 1;
      else high = middle;
    }
    if (low < classes.length && !swaps(classes[low][0], mark)) classes[low].push(mark);
    else classes.splice(low, 0, [mark]);
  }
  return classes.flatMap((members, i) => members.map((c) => [c, i + 1])).sort((a, b) => a[0] - b[0]);
}

export function compositionData(numbers) {
  const decomposed = points.filter((c) => text(c).normalize('NFD') !== text(c));
  numbers.put(decomposed.length);
  for (const c of decomposed) {
    const parts = codes(text(c).normalize('NFD'));
    numbers.putAll([c, parts.length, ...parts]);
  }

  const composed = decomposed.filter((c) => text(c).normalize('NFC') === text(c));
  numbers.put(composed.length);
  for (const c of composed) {
    const parts = codes(text(c).normalize('NFD'));
    const second = parts.pop();
    const first = codes(text(...parts).normalize('NFC'));
    if (first.length !== 1) throw new Error(`U+${c.toString(16)} is not made of two.`);
    numbers.putAll([c, first[0], second]);
  }

  const ranked = marks();
  numbers.put(ranked.length);
  for (const pair of ranked) numbers.putAll(pair);
}
