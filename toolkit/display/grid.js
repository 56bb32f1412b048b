// Sets up what works only with a script, on each result that has none of it yet: search, facets, sorting, copying.
(() => {
const make = (tag, props = {}, ...kids) => { const e = Object.assign(document.createElement(tag), props); e.append(...kids); return e }
const button = (text, onclick, props = {}) => make('button', {type: 'button', textContent: text, onclick, ...props})
const say = (b, text) => { const was = b.textContent; b.textContent = text; setTimeout(() => { b.textContent = was }, 1500) }
const copy = (b, text) => navigator.clipboard ? navigator.clipboard.writeText(text).then(() => say(b, 'Copied'), () => say(b, 'Not allowed')) : say(b, 'Not allowed')
const inert = cell => /^'*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]/.test(cell) && !/^-?[\d.,]*$/.test(cell) ? "'" + cell : cell // a spreadsheet would run it
const shown = cell => (cell.dataset.t ?? cell.firstChild?.textContent ?? '').trim()

function grid(table, root) {
  const units = [...table.tBodies], heads = [...table.tHead.rows[0].cells], data = table.dataset
  const texts = units.map(u => u.textContent.toLowerCase()), chosen = {}, choices = []
  const rows = u => [...u.rows].filter(r => r.className != 'grp'), all = units.reduce((n, u) => n + rows(u).length, 0)
  const search = make('input', {type: 'search', placeholder: 'Search', ariaLabel: 'Search ' + data.grid, oninput: () => show()})
  const count = make('output', {ariaLive: 'polite'}), tools = make('div', {className: 'tools'}, search)
  const clear = button('Clear', () => { search.value = ''; for (const k in chosen) chosen[k] = ''; show(); search.focus() })
  const has = (u, key, value) => (u.dataset[key] || '').split('\n').includes(value)
  function show() {
    const words = search.value.toLowerCase().split(/\s+/), facets = Object.entries(chosen).filter(([, v]) => v)
    let n = 0
    units.forEach((u, i) => { u.hidden = !(words.every(w => texts[i].includes(w)) && facets.every(([k, v]) => has(u, k, v))); if (!u.hidden) n += rows(u).length })
    clear.hidden = !search.value && !facets.length
    count.textContent = (n == all ? '' : `${n || 'none'} of `) + `${all} ${all == 1 ? data.unit.replace(/(?<=sh)es$|s$/, '') : data.unit}`
    for (const c of choices) if (c.tagName == 'SELECT') c.value = chosen[c.key] || ''; else c.ariaPressed = String(chosen[c.key] == c.value)
    for (const b of root.querySelectorAll('button[data-pick]')) { const [k, v] = b.dataset.pick.split('\n'); if (k in chosen) b.ariaPressed = String(chosen[k] == v) }
  }
  const pick = (key, value) => { chosen[key] = chosen[key] == value ? '' : value; show() }
  for (const [key, label] of (data.facets || '').split('\n').filter(Boolean).map(f => f.split('='))) {
    const counts = new Map()
    for (const u of units) for (const v of new Set((u.dataset[key] || '').split('\n'))) if (v) counts.set(v, (counts.get(v) || 0) + rows(u).length)
    chosen[key] = ''
    if (counts.size < 2 || !label) continue
    if (counts.size > 5 || [...counts.keys()].join('').length > 99) {
      const list = make('select', {ariaLabel: label, key, onchange() { chosen[key] = list.value; show() }}, make('option', {value: '', textContent: label + ': all'}), ...[...counts].map(([v, n]) => make('option', {value: v, textContent: `${v} (${n})`})))
      choices.push(list); tools.append(list)
    } else {
      const group = make('span', {role: 'group', ariaLabel: label, style: 'display:contents'})
      for (const [value, n] of counts) { const b = button(`${value} ${n}`, () => pick(key, value), {className: 'chip', key, value}); choices.push(b); group.append(b) }
      tools.append(group)
    }
  }
  const lines = () => [heads.map(h => h.dataset.t).concat('why'), ...units.filter(u => !u.hidden).flatMap(u => rows(u).map(r => [...r.cells].flatMap(c => [shown(c), ...Array(c.colSpan - 1).fill('')]).concat(u.dataset.rule ?? '')))].map(l => l.map(inert))
  tools.append(clear, count,
    button('Copy', function () { copy(this, lines().map(l => l.map(c => c.replace(/\s+/g, ' ').replace(/^".*/, q => `"${q.replaceAll('"', '""')}"`)).join('\t')).join('\n')) }, {title: 'Copy the rows shown, for a spreadsheet'}),
    button('CSV', () => {
      const text = '\ufeff' + lines().map(l => l.map(c => `"${c.replaceAll('"', '""')}"`).join(';')).join('\r\n')
      const a = make('a', {download: data.grid + '.csv', href: URL.createObjectURL(new Blob([text], {type: 'text/csv'}))})
      a.click(); setTimeout(() => URL.revokeObjectURL(a.href), 1000)
    }, {title: 'Download the rows shown'}))
  heads.forEach((head, i) => {
    if (!head.dataset.s) return
    const b = button('', () => {
      const to = {ascending: 'descending', descending: ''}[head.ariaSort] ?? 'ascending', sign = to == 'ascending' ? 1 : -1
      heads.forEach(h => { h.ariaSort = null }); if (to) head.ariaSort = to
      const key = new Map(units.map(u => { const c = rows(u)[0].cells[i], t = c ? c.dataset.v ?? shown(c) : ''; return [u, head.dataset.s == 'n' ? parseFloat(t.replaceAll(',', '')) || 0 : t] }))
      const text = (x, y) => x.localeCompare(y, undefined, {numeric: true}), number = (x, y) => x - y, order = head.dataset.s == 'n' ? number : text
      table.append(...(to ? [...units].sort((x, y) => sign * order(key.get(x), key.get(y))) : units))
    })
    b.append(head.firstChild); head.prepend(b)
  })
  root.addEventListener('tk-pick', e => { if (e.detail[0] in chosen) { pick(...e.detail); const fold = table.closest('details'); if (fold) fold.open = true } })
  table.parentNode.before(tools); show()
}

for (const root of document.querySelectorAll('.tk:not([data-on])')) {
  root.dataset.on = ''
  if (root.querySelector('.tk')) continue // a page of several results: each sets up its own
  for (const e of root.querySelectorAll('[data-pick]')) {
    const b = button('', () => root.dispatchEvent(new CustomEvent('tk-pick', {detail: e.dataset.pick.split('\n')})), {className: e.className, ariaPressed: 'false'})
    b.dataset.pick = e.dataset.pick; b.append(...e.childNodes); e.replaceWith(b)
  }
  root.querySelectorAll('table[data-grid]').forEach(t => grid(t, root))
  for (const c of root.querySelectorAll('.cmd')) c.append(button('Copy', function () { copy(this, c.firstElementChild.textContent) }, {ariaLabel: 'Copy this line of code'}))
}
})()
