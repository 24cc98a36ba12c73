// Makes pages livelier: curves that move, keys that lead somewhere. Every page works without it.
'use strict';

const byId = (id) => document.getElementById(id);

// The curve: drawn by the service, fetched again when something has happened.
const figure = byId('curve');
let axis = new URLSearchParams(location.search).get('by') || 'bytes';
let drawing = false;
let stale = false;

async function redraw() {
  if (!figure) return;
  if (drawing) { stale = true; return; }
  drawing = true;
  stale = false;
  try {
    const answer = await fetch(`${figure.dataset.address}?by=${encodeURIComponent(axis)}`);
    const text = answer.ok ? await answer.text() : '';
    if (text) figure.querySelector('.drawing').innerHTML = text;
  } catch { /* The next event tries again. */ }
  setTimeout(() => { drawing = false; if (stale) redraw(); }, 800);
}

function mark() {
  for (const link of figure.querySelectorAll('[data-by]')) {
    if (link.dataset.by === axis) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}

if (figure) {
  mark();
  figure.addEventListener('click', (event) => {
    const link = event.target.closest('[data-by]');
    if (!link) return;
    event.preventDefault();
    axis = link.dataset.by;
    mark();
    redraw();
  });
}

// A run: followed by its events. The browser comes back with the last number it saw.
const run = byId('run');

function log(text) {
  const list = byId('log');
  if (!list || !text) return;
  const item = document.createElement('li');
  item.textContent = text;
  list.append(item);
  while (list.children.length > 500) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

function told(e) {
  switch (e.event) {
    case 'note': return e.text;
    case 'evaluated': return `step ${e.at.step}: ${e.evaluation.bits_per_byte.toFixed(3)} bits per byte`;
    case 'directed': return `step ${e.step}: ${JSON.stringify(e.directive)}`;
    case 'incident': return `step ${e.step}: ${e.kind}, ${e.detail}`;
    default: return '';
  }
}

if (run) {
  const over = run.dataset.over === 'true';
  const source = new EventSource(`/api/v1/runs/${encodeURIComponent(run.dataset.run)}/events`);
  let phase = '';
  let total = 0;
  source.addEventListener('run', (message) => {
    const e = JSON.parse(message.data);
    log(told(e));
    if (over) return;
    const progress = byId('progress');
    const bar = byId('bar');
    if (e.event === 'phase') { phase = e.name; total = e.total; }
    if (e.event === 'step') {
      const loss = e.bits_per_byte === null ? '–' : e.bits_per_byte.toFixed(3);
      if (progress) progress.textContent = `${phase} ${e.step}/${total} · ${loss} bits per byte`;
      if (bar && total) { bar.hidden = false; bar.max = total; bar.value = e.step; }
      redraw();
    }
    if (e.event === 'evaluated') redraw();
  });
  let state = '';
  source.addEventListener('state', (message) => {
    const now = JSON.parse(message.data);
    // The page was made for the first state that is told; another one deserves another page.
    const key = `${now.state} ${now.cancelling}`;
    if (state && state !== key && !over) { source.close(); location.reload(); }
    state = key;
  });
  source.addEventListener('end', () => source.close());
  addEventListener('pagehide', () => source.close());
}

// Keys.
const places = { r: '/runs', d: '/decide', p: '/profiles', h: '/history', u: '/rules', s: '/scorer' };
let going = 0;
const rows = () => [...document.querySelectorAll('table.rows tbody tr')];
let row = -1;

function step(by) {
  const all = rows();
  if (!all.length) return;
  all[row]?.classList.remove('current');
  row = Math.max(0, Math.min(all.length - 1, row + by));
  all[row].classList.add('current');
  all[row].querySelector('a')?.focus();
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches('input, textarea, select')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (going && Date.now() - going < 1500 && places[event.key]) { location.href = places[event.key]; return; }
  going = 0;
  switch (event.key) {
    case 'g': going = Date.now(); break;
    case 'j': step(1); break;
    case 'k': step(-1); break;
    case '/': {
      const search = byId('search');
      if (search) { event.preventDefault(); search.focus(); } else location.href = '/history';
      break;
    }
    case '?': byId('keys').hidden = !byId('keys').hidden; break;
  }
});

// Two runs are compared, not three.
byId('picks')?.addEventListener('change', (event) => {
  const picked = [...event.currentTarget.querySelectorAll('input:checked')];
  if (picked.length > 2) picked.find((box) => box !== event.target).checked = false;
});
