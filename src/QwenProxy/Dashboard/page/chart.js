// Pictures of numbers over time, as SVG, each with its table behind it. Bars and lines with an axis are all that is drawn here; a library would be some
// hundred KiB for that, and most of them write styles into the page, which its policy forbids.
import { draw, make, scrolls, table } from './dom.js';

/** A picture is as wide as the room it mostly gets, so that its words keep their size. */
const narrow = matchMedia('(max-width: 720px)').matches;
const width = narrow ? 340 : 760;
const height = 210;
const left = 56;
const bottom = 24;
const top = 10;

/** One bar for each label, of one piece for each group, the largest group at the bottom. `groups` are { name, values }. */
export function bars(title, labels, groups, format) {
  const sums = labels.map((_, i) => groups.reduce((sum, g) => sum + g.values[i], 0));
  const scale = axis(Math.max(...sums, 0));
  const step = (width - left) / Math.max(1, labels.length);
  const pieces = labels.flatMap((label, i) => {
    let base = 0;
    return groups.map((group, g) => {
      const value = group.values[i];
      if (!value) return null;
      const y = place(base + value, scale);
      const piece = draw('rect', { class: `part${g}`, x: left + i * step + step * 0.1, width: step * 0.8, y, height: Math.max(1, place(base, scale) - y - 1) },
        draw('title', {}, `${label}, ${group.name}: ${format(value)}`));
      base += value;
      return piece;
    });
  });
  return figure(title, labels, groups, format, [...grid(scale, format), ...names(labels, step), ...pieces], sums);
}

/** One line for each group; where there is no value the line has a gap. */
export function lines(title, labels, groups, format) {
  const scale = axis(Math.max(...groups.flatMap((g) => g.values.filter((v) => v !== null)), 0));
  const step = (width - left) / Math.max(1, labels.length);
  const x = (i) => left + (i + 0.5) * step;
  const drawn = groups.flatMap((group, g) => {
    const runs = [];
    group.values.forEach((value, i) => {
      if (value === null) return;
      if (i > 0 && group.values[i - 1] !== null) runs.at(-1).push([i, value]);
      else runs.push([[i, value]]);
    });
    const points = labels.length > 60 ? [] : runs.flat();
    return [
      ...runs.map((run) => draw('polyline', { class: `line${g}`, points: run.map(([i, value]) => `${x(i).toFixed(1)},${place(value, scale).toFixed(1)}`).join(' ') })),
      ...points.map(([i, value]) => draw('circle', { class: `part${g}`, cx: x(i), cy: place(value, scale), r: 3 }, draw('title', {}, `${labels[i]}, ${group.name}: ${format(value)}`))),
    ];
  });
  return figure(title, labels, groups, format, [...grid(scale, format), ...names(labels, step), ...drawn]);
}

/** A share of a whole as a bar, with the part that is expected to be used by its end, and a mark from where on it is kept. */
export function share(used, expected, kept, label) {
  const at = (part) => Math.max(0, Math.min(1, part)) * 200;
  return draw('svg', { class: 'share', viewBox: '0 0 200 12', role: 'img', 'aria-label': label, preserveAspectRatio: 'none' },
    draw('rect', { class: 'rest', x: 0, y: 0, width: 200, height: 12 }),
    expected > used ? draw('rect', { class: 'expected', x: 0, y: 3, width: at(expected), height: 6 }) : null,
    draw('rect', { class: used >= 0.95 ? 'full' : used >= 0.8 ? 'much' : 'used', x: 0, y: 0, width: at(used), height: 12 }),
    kept === null ? null : draw('line', { class: 'kept', x1: at(kept), x2: at(kept), y1: 0, y2: 12 }));
}

function figure(title, labels, groups, format, drawn, sums) {
  const picture = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title}. The table below has the same numbers.` }, drawn);
  const legend = groups.length > 1 || !sums ? make('ul', 'legend', groups.map((g, i) => make('li', '', draw('svg', { viewBox: '0 0 16 10', 'aria-hidden': 'true' },
    sums ? draw('rect', { class: `part${i}`, width: 16, height: 10 }) : draw('line', { class: `line${i}`, x1: 0, y1: 5, x2: 16, y2: 5 })), g.name))) : null;
  const columns = [['Time', (i) => labels[i]], ...groups.map((g) => [g.name, (i) => (g.values[i] === null ? '–' : format(g.values[i])), 'number'])];
  if (sums && groups.length > 1) columns.push(['All', (i) => format(sums[i]), 'number']);
  const details = make('details', '', make('summary', '', 'As a table'));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(scrolls(title, table(title, columns, labels.map((_, i) => i))));
  });
  return make('figure', 'card', make('figcaption', '', title), legend, picture, details);
}

/** The axis ends at a round number above the highest value. */
function axis(highest) {
  if (highest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 2.5, 5, 10].map((f) => f * power).find((end) => end >= highest);
}

const place = (value, scale) => top + (height - top - bottom) * (1 - value / scale);

function grid(scale, format) {
  return [0, 0.5, 1].flatMap((part) => {
    const y = place(scale * part, scale);
    return [draw('line', { class: 'grid', x1: left, x2: width, y1: y, y2: y }), draw('text', { x: left - 6, y: y + 4, 'text-anchor': 'end' }, format(scale * part))];
  });
}

function names(labels, step) {
  const every = Math.ceil(labels.length / (narrow ? 4 : 8));
  return labels.map((label, i) => (i % every === 0 ? draw('text', { x: left + (i + 0.5) * step, y: height - 6, 'text-anchor': 'middle' }, short(label)) : null));
}

/** The day of a date; the hour of a time. */
const short = (label) => (label.includes(' ') ? label.slice(11) : label.slice(5));
