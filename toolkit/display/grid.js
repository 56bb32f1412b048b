// Sets up what works only with a script, on each result that has none of it yet: search, facets, sorting, copying.
(() => {
const make = (tag, props, ...kids) => { const e = Object.assign(document.createElement(tag), props); e.append(...kids); return e }
const button = (text, onclick, props) => make('button', {type: 'button', textContent: text, onclick, ...props})
const bar = (...kids) => make('div', {className: 'tools'}, ...kids)
const cut = text => (text || '').split('\n')
const say = (b, text) => { const was = b.textContent; b.textContent = text; setTimeout(() => { b.textContent = was }, 2e3) }
const copy = async (b, text) => { try { await navigator.clipboard.writeText(text); say(b, 'Copied') } catch { say(b, 'Not copied') } }
const inert = cell => /^'*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]/.test(cell) && !/^-?[\d.,]*$/.test(cell) ? "'" + cell : cell // a spreadsheet would run it
const shown = cell => cell.matches('.nil') ? '' : (cell.dataset.t ?? [...cell.childNodes].map(n => n.matches?.('small, em, .d > del') ? '' : n.textContent).join('')).trim()
const search = (what, oninput) => make('input', {type: 'search', placeholder: 'Search', ariaLabel: 'Search ' + what, oninput})
const finds = (text, words) => words.toLowerCase().split(/\s+/).every(w => text.toLowerCase().includes(w))

function grid(table, root) {
  const units = [...table.tBodies], heads = [...table.tHead.rows[0].cells], data = table.dataset
  const texts = units.map(u => u.textContent), chosen = {}, choices = [], names = cut(data.names)
  for (const u of units) for (const k in u.dataset) u.dataset[k] = u.dataset[k].split(' ').map(n => names[n]).join('\n')
  const rows = u => [...u.rows].filter(r => r.className != 'grp'), all = units.reduce((n, u) => n + rows(u).length, 0)
  const words = search(data.grid, () => show()), count = make('output', {ariaLive: 'polite'}), tools = bar(words)
  const clear = button('Clear', () => { words.value = ''; for (const k in chosen) chosen[k] = ''; show(); words.focus() })
  const has = (u, key, value) => cut(u.dataset[key]).includes(value)
  function show() {
    const facets = Object.entries(chosen).filter(([, v]) => v)
    let n = 0
    units.forEach((u, i) => { u.hidden = !(finds(texts[i], words.value) && facets.every(([k, v]) => has(u, k, v))); if (!u.hidden) n += rows(u).length })
    clear.hidden = !words.value && !facets.length
    count.textContent = (n == all ? '' : `${n || 'none'} of `) + `${all} ${all == 1 ? data.unit.replace(/(?<=sh)es$|s$/, '') : data.unit}`
    for (const c of choices) if (c.tagName == 'SELECT') c.value = chosen[c.key] || ''; else c.ariaPressed = chosen[c.key] == c.value
    for (const b of root.querySelectorAll('button[data-pick]')) { const [k, v] = cut(b.dataset.pick); if (k in chosen) b.ariaPressed = chosen[k] == v }
  }
  const pick = (key, value) => { chosen[key] = chosen[key] == value ? '' : value; show() }
  for (const [key, label] of cut(data.facets).filter(Boolean).map(f => f.split('='))) {
    const counts = new Map()
    for (const u of units) for (const v of new Set(cut(u.dataset[key]))) if (v) counts.set(v, (counts.get(v) || 0) + rows(u).length)
    chosen[key] = ''
    if (counts.size < 2 || !label) continue
    if (counts.size > 5 || [...counts.keys()].join('').length > 99) {
      const list = make('select', {ariaLabel: label, key, onchange() { chosen[key] = list.value; show() }}, make('option', {value: '', textContent: label + ': all'}), ...[...counts].map(([v, n]) => make('option', {value: v, textContent: `${v} (${n})`})))
      choices.push(list); tools.append(list)
    } else {
      const group = make('span', {role: 'group', ariaLabel: label, style: 'display:contents'})
      for (const [value, n] of counts) { const b = button(`${value} ${n}`, () => pick(key, value), {className: 'chip', title: `${data.unit}: ${n}`, key, value}); choices.push(b); group.append(b) }
      tools.append(group)
    }
  }
  const lines = () => [heads.map(h => h.dataset.t).concat('why'), ...units.filter(u => !u.hidden).flatMap(u => rows(u).map(r => [...r.cells].flatMap(c => [shown(c), ...Array(c.colSpan - 1).fill('')]).concat(u.dataset.rule ?? '')))].map(l => l.map(inert))
  tools.append(clear, make('span', {style: 'display:flex;gap:8px;place-items:center;margin-left:auto'}, count,
    button('Copy', function () { copy(this, lines().map(l => l.map(c => c.replace(/\s+/g, ' ').replace(/^".*/, q => `"${q.replaceAll('"', '""')}"`)).join('\t')).join('\n')) }, {title: 'Copy these rows'}),
    button('CSV', () => {
      const text = '\ufeff' + lines().map(l => l.map(c => `"${c.replaceAll('"', '""')}"`).join(';')).join('\r\n')
      const a = make('a', {download: data.grid + '.csv', href: URL.createObjectURL(new Blob([text], {type: 'text/csv'}))})
      a.click(); setTimeout(() => URL.revokeObjectURL(a.href), 1000)
    }, {title: 'Save these rows'})))
  heads.forEach((head, i) => {
    if (!head.dataset.s) return
    const b = button('', () => {
      const to = {ascending: 'descending', descending: ''}[head.ariaSort] ?? 'ascending', sign = to == 'ascending' ? 1 : -1
      for (const h of heads) h.ariaSort = h == head && to || null
      const key = new Map(units.map(u => { const c = rows(u)[0].cells[i]; return [u, c ? c.dataset.v ?? shown(c) : ''] }))
      const number = t => parseFloat(t.replaceAll(',', '')) || 0, order = (x, y) => head.dataset.s == 'n' ? number(x) - number(y) : x.localeCompare(y, undefined, {numeric: true})
      table.append(...(to ? [...units].sort((x, y) => sign * order(key.get(x), key.get(y))) : units))
    })
    b.append(head.firstChild); head.prepend(b)
  })
  root.addEventListener('tk-pick', e => { if (e.detail[0] in chosen) { pick(...e.detail); (table.closest('details') ?? {}).open = true } })
  table.parentNode.before(tools); show()
}

for (const root of document.querySelectorAll('.tk:not([data-on])')) {
  root.dataset.on = ''
  if (root.querySelector('.tk')) continue // a page of several results: each sets up its own
  const each = (what, set) => root.querySelectorAll(what).forEach(set)
  each('[data-pick]', e => {
    const b = button('', () => root.dispatchEvent(new CustomEvent('tk-pick', {detail: cut(e.dataset.pick)})), {className: e.className, ariaPressed: 'false'})
    b.dataset.pick = e.dataset.pick; b.append(...e.childNodes); e.replaceWith(b)
  })
  each('[data-grid]', t => grid(t, root))
  each('[data-find]', list => {
    const words = search(list.dataset.find, () => { for (const e of list.children) e.hidden = !finds(e.textContent, words.value) })
    list.before(bar(words))
  })
  each('.fold', first => {
    const folds = [...first.parentNode.children].filter(e => e.matches('.fold'))
    if (first == folds[0] && folds[1]) first.before(bar(button('Unfold all', () => { for (const f of folds) f.open = true })))
  })
  each('.cmd', c => c.append(button('Copy', function () { copy(this, c.firstElementChild.textContent) }, {ariaLabel: 'Copy this line'})))
}
})()
