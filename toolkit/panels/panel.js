// Draws a panel from the tree that the kernel sends, and sends back what its elements are told to send.
const TYPING = 'typing' // the number of what an element sent last, or that its text is not sent yet
const components = {} // tag: (element, spec, ask) => draws it; for what a tree cannot say

function make(tag, is = {}, ...kids) {
  const e = document.createElement(tag)
  for (const name in is) if (is[name] !== '') e.setAttribute(name, is[name])
  e.append(...kids)
  return e
}

function same(old, spec) {
  if (typeof spec === 'string') return old.nodeType === 3
  if ('html' in spec) return old.tkHtml !== undefined
  return old.nodeType === 1 && old.tkTag === spec.tag && (old.dataset.key || '') === spec.key
}

function drawn(spec, old, ask) {
  if (typeof spec === 'string') {
    const text = old || document.createTextNode('')
    if (text.data !== spec) text.data = spec
    return text
  }
  if ('html' in spec) { // escaped by the kernel, as every result is
    const box = old || document.createElement('span')
    if (box.tkHtml !== spec.html) {
      box.tkHtml = box.innerHTML = spec.html
      box.style.display = 'contents'
      if (box.querySelector('[data-grid],.cmd')) box.className = 'tk'
      delete box.dataset.on // its tools went with what was there before
    }
    return box
  }
  const e = old || Object.assign(document.createElement(spec.tag), {tkTag: spec.tag})
  const is = spec.is, was = e.tkIs || {}
  if (spec.key) e.dataset.key = spec.key
  for (const name in was) if (!(name in is)) e.removeAttribute(name)
  for (const name in is) {
    if (['value', 'checked', 'open'].includes(name)) continue
    if (['aria-describedby', 'for', 'list'].includes(name) || name === 'name' && is.type === 'radio') e.setAttribute(name, ask.id(is[name]))
    else if (is[name] === false) e.removeAttribute(name)
    else if (e.getAttribute(name) !== String(is[name])) e.setAttribute(name, is[name] === true ? '' : is[name])
  }
  if (spec.key) e.id = ask.id(spec.key)
  if (components[spec.tag]) components[spec.tag](e, spec, ask)
  else fill(e, spec.has, ask)
  if ('open' in is && was.open !== is.open) e.open = is.open
  // What was typed or chosen since stays: an answer to an older action does not know it.
  if (e.tkSent !== TYPING && !ask.waits(e.tkSent)) {
    if ('checked' in is) e.checked = is.checked
    if ('value' in is && (e.tagName === 'SELECT' || !old || was.value !== is.value)) e.value = is.value
  }
  e.tkIs = is
  listen(e, spec.on, ask)
  return e
}

function fill(parent, specs, ask) {
  const free = [...parent.childNodes]
  const kids = specs.map(spec => {
    const at = free.findIndex(old => same(old, spec))
    return drawn(spec, at < 0 ? null : free.splice(at, 1)[0], ask)
  })
  free.forEach(old => old.remove())
  kids.forEach((kid, at) => { if (parent.childNodes[at] !== kid) parent.insertBefore(kid, parent.childNodes[at] || null) })
}

function listen(e, on, ask) {
  for (const type of ['click', 'change', 'submit', 'dragover', 'drop']) e['on' + type] = null
  const typed = e.oninput = e.tagName === 'INPUT' ? () => { e.tkSent = TYPING } : null
  e.onblur = typed && (() => { if (e.tkSent === TYPING && !e.tkAsks) e.tkSent = '' })
  for (const type in on) {
    const send = more => {
      const reply = ask({...on[type], ...more})
      for (const box of e.type === 'radio' ? document.getElementsByName(e.name) : [e]) box.tkSent = ask.last
      return reply
    }
    if (type === 'files') {
      if (e.tagName === 'INPUT') e.onchange = () => upload(e.files, on.files, ask).then(() => { e.value = '' })
      e.ondragover = event => event.preventDefault()
      e.ondrop = event => { event.preventDefault(); upload(event.dataTransfer.files, on.files, ask) }
    } else if (type === 'submit') {
      e.onsubmit = event => { event.preventDefault(); send({fields: Object.fromEntries(new FormData(e))}) }
    } else if (type === 'input') {
      e.oninput = async () => { // at once; what is typed before the answer is sent with it
        typed()
        if (e.tkAsks) return
        e.tkAsks = true
        for (let sent; sent !== e.value;) { sent = e.value; await send({value: sent}) }
        e.tkAsks = false
      }
    } else if (type === 'change') {
      e.onchange = () => send({value: e.type === 'checkbox' ? e.checked : e.value})
    } else e['on' + type] = () => send({})
  }
}

async function upload(files, action, ask) {
  const {slice, ...rest} = action
  for (const file of [...files].slice(0, 1))
    for (let at = 0; at === 0 || at < file.size; at += slice) { // a larger message would drop the connection
      const part = await file.slice(at, at + slice).arrayBuffer()
      const reply = await ask({...rest, name: file.name, size: file.size, at}, [part])
      if (reply.raised) return
    }
}

function render({model, el}) {
  const live = make('p', {class: 'sr', role: 'status'}), wait = make('p', {class: 'note warn', role: 'status', hidden: true})
  const body = make('div'), root = make('div', {class: 'tk panel tex2jax_ignore mathjax_ignore', 'data-on': true}, make('div', {class: 'above'}, wait), live, body)
  const own = Math.random().toString(36).slice(2, 10), waiting = new Map() // a panel may be shown twice
  let n = 0
  const warn = text => { wait.hidden = false; wait.textContent = text }
  const ask = (message, buffers = []) => new Promise(done => {
    const id = ask.last = `${own}.${++n}`
    waiting.set(id, {done, later: setTimeout(warn, 3000, 'Waiting for the kernel: another cell is running, or it was restarted. Then run this cell again.')})
    model.send({...message, id}, undefined, buffers)
  })
  ask.waits = id => waiting.has(id)
  ask.id = keys => keys.split(' ').map(key => `tk-${own}-${key}`).join(' ')
  function draw({view, said, focus}) {
    const had = document.activeElement, key = root.contains(had) ? had.dataset.key : ''
    fill(body, [view], ask)
    setUpGrids()
    if (said && live.textContent !== said) live.textContent = said
    const wanted = focus || (key && document.activeElement !== had && key)
    const e = wanted && root.querySelector(`[data-key="${CSS.escape(wanted)}"]`)
    if (!e) return
    if (e.tabIndex < 0) e.tabIndex = -1
    e.focus()
  }
  const told = message => {
    const asked = waiting.get(message.id)
    if (asked) { clearTimeout(asked.later); waiting.delete(message.id) }
    if (!waiting.size) wait.hidden = true
    try { if (message.view) draw(message) } catch (error) { warn(`The panel cannot be drawn (${error.message}). Go on in code, and report this.`) }
    if (asked) asked.done(message)
  }
  // What is typed here is not a command of the notebook; saving it still is.
  root.addEventListener('keydown', event => { if (!((event.ctrlKey || event.metaKey) && event.key === 's')) event.stopPropagation() })
  el.append(root)
  model.on('msg:custom', told)
  ask({do: 'show'})
  return () => model.off('msg:custom', told)
}

export default {render}
