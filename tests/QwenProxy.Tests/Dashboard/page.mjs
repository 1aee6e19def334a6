// Runs the dashboard's script outside a browser, against a running proxy: node page.mjs URL STEPS. STEPS is the body of an async function; what it
// returns is printed as JSON. The document below knows only what the script uses, and keeps what it is given as text; time passes only by tick().
import vm from 'node:vm';

class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], attributes: {}, dataset: {}, listeners: {}, hidden: false, className: '', value: '', clientWidth: 700, namespaceURI: 'svg' });
    this.classes = new Set();
    this.classList = { add: (name) => this.classes.add(name), remove: (name) => this.classes.delete(name) };
  }
  append(...children) {
    for (const child of children) this.children.push(...(child instanceof Element ? (child.tag === '#fragment' ? child.children : [child]) : [String(child)]));
  }
  replaceChildren(...children) { this.children = []; this.append(...children); }
  get textContent() { return this.children.map((c) => c.textContent ?? c).join(' '); }
  set textContent(text) { this.children = [String(text)]; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  addEventListener(type, listener) { this.listeners[type] = listener; }
  querySelector() { return this.form ??= new Element('form'); }
  all(tag) { return this.children.flatMap((c) => (c instanceof Element ? [...(c.tag === tag ? [c] : []), ...c.all(tag)] : [])); }
}

const [url, steps] = process.argv.slice(2);
const page = await (await fetch(url)).text();
const byId = {};
for (const [, tag, id, rest] of page.matchAll(/<(\w+)[^>]*? id="(\w+)"([^>]*)>/g)) byId[id] = Object.assign(new Element(tag), { hidden: /\bhidden\b/.test(rest) });

const asked = [];
let answer = null;
let pending = null;
const page$ = new Element('document');
const world = {
  document: Object.assign(page$, {
    getElementById: (id) => byId[id] ?? null,
    createElement: (tag) => new Element(tag),
    createElementNS: (_, tag) => new Element(tag),
    createDocumentFragment: () => new Element('#fragment'),
  }),
  fetch: (path, options) => {
    asked.push(path);
    return answer ? answer(path, options) : fetch(new URL(path, url), { headers: options.headers });
  },
  location: new URL(url),
  performance,
  addEventListener: () => {},
  setTimeout: (run) => { pending = run; return 1; },
  clearTimeout: () => { pending = null; },
};
vm.createContext(world);
vm.runInContext(page.match(/<script>([^]*)<\/script>/)[1], world);

const until = async (condition) => {
  for (let i = 0; i < 1000; i++) {
    if (condition()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`It did not come true: ${condition}`);
};
const tools = {
  asked,
  until,
  el: (id) => byId[id],
  text: (id) => byId[id].textContent,
  page: page$,
  isIdle: () => pending === null,
  /** Lets the pause between two askings pass, and waits until the page has drawn. */
  tick: async () => { await until(() => pending); const run = pending; pending = null; await run(); },
  answerWith: (f) => { answer = f; },
  refusal: (status, message) => new Response(JSON.stringify({ error: { message } }), { status }),
  pass: (path, options) => fetch(new URL(path, url), { headers: options.headers }),
  enter: (key) => { byId.key.value = key; byId.gate.form.listeners.submit({ preventDefault() {} }); },
};
const run = Object.getPrototypeOf(async () => {}).constructor(...Object.keys(tools), steps);
process.stdout.write(JSON.stringify(await run(...Object.values(tools))));
process.exit(0);
