// The page works without this. It shows values beside the pointer, searches and orders utterances, and follows words as they sound.
"use strict";
document.documentElement.classList.add("js");
const tip = document.getElementById("tip");

function say(lines, x, y) {
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 4)) + "px";
  tip.style.top = (y - box.height - 12 < 4 ? y + 18 : y - box.height - 12) + "px";
}

function hush() { tip.hidden = true; }

function follow(plot) {
  const curves = [...plot.querySelectorAll("g.curve")].map((group) => {
    const fields = group.dataset.points.split(" ");
    const points = [];
    for (let n = 0; n + 3 < fields.length; n += 4) {
      points.push({ x: +fields[n], y: +fields[n + 1], step: +fields[n + 2], value: fields[n + 3] });
    }
    return { name: group.dataset.name, points };
  });
  for (const title of plot.querySelectorAll("title")) title.remove(); // the tip tells more
  const cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cross.setAttribute("class", "cross");
  plot.append(cross);
  const places = [...new Set(curves.flatMap((curve) => curve.points.map((point) => point.x)))].sort((a, b) => a - b);
  let at = -1;
  const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a));
  function show(x, left, top) {
    const found = curves.map((curve) => ({ name: curve.name, ...nearest(curve.points, x) }));
    const first = found.reduce((a, b) => (Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a));
    cross.setAttribute("d", `M${first.x} 12V214`);
    const near = found.filter((one) => Math.abs(one.x - first.x) < 8);
    say([`update ${first.step.toLocaleString("en")}`, ...near.map((one) => `${one.name}: ${one.value}`)], left, top);
  }
  function leave() { cross.removeAttribute("d"); hush(); }
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width, event.clientX, event.clientY);
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") return leave();
    if (!step || !places.length) return;
    event.preventDefault();
    at = at < 0 ? (step > 0 ? 0 : places.length - 1) : Math.max(0, Math.min(places.length - 1, at + step));
    const box = plot.getBoundingClientRect();
    show(places[at], box.left + (places[at] / plot.viewBox.baseVal.width) * box.width, box.top + box.height / 3);
  });
}

for (const plot of document.querySelectorAll("svg.curves")) follow(plot);
for (const mark of document.querySelectorAll(".mark")) {
  mark.querySelector("title").remove();
  mark.addEventListener("pointermove", (event) => say([mark.dataset.mark], event.clientX, event.clientY));
  mark.addEventListener("pointerleave", hush);
}

const ORDERS = {
  errors: (a, b) => b.dataset.errors - a.dataset.errors,
  gap: (a, b) => b.dataset.gap - a.dataset.gap,
  rate: (a, b) => b.dataset.errors / Math.max(1, b.dataset.words) - a.dataset.errors / Math.max(1, a.dataset.words),
  length: (a, b) => b.dataset.words - a.dataset.words,
  corpus: () => 0,
};
const SHOWN = {
  all: () => true,
  wrong: (entry) => entry.dataset.errors > 0,
  differ: (entry) => entry.dataset.gap > 0,
  audio: (entry) => entry.querySelector("audio") !== null,
};

function browse(browser) {
  const tools = browser.querySelector("form");
  const list = browser.querySelector(".entries");
  const entries = [...list.children].map((node) => ({ node, text: node.textContent.toLowerCase().replace(/\s+/g, " ") }));
  let waiting = 0;
  function update() {
    const words = tools.elements.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = SHOWN[tools.elements.show.value];
    let count = 0;
    for (const { node, text } of entries) {
      node.hidden = !(shown(node) && words.every((word) => text.includes(word)));
      count += !node.hidden;
    }
    tools.elements.count.textContent = `${count.toLocaleString("en")} of ${entries.length.toLocaleString("en")}`;
  }
  function order() {
    const before = ORDERS[tools.elements.order.value];
    const nodes = entries.map((entry) => entry.node);
    nodes.sort((a, b) => before(a, b) || a.dataset.number - b.dataset.number);
    list.append(...nodes);
  }
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
  tools.elements.show.addEventListener("change", update);
  tools.elements.order.addEventListener("change", order);
  update();
}

function listen(audio) {
  const words = [...audio.closest(".entry").querySelectorAll("[data-t]")].map((node) => {
    const [start, end] = node.dataset.t.split(" ").map(Number);
    return { node, start, end };
  });
  function mark() {
    for (const { node, start, end } of words) {
      node.classList.toggle("now", audio.currentTime >= start && audio.currentTime < Math.max(end, start + 0.1) && !audio.ended);
    }
    if (!audio.paused) requestAnimationFrame(mark);
  }
  for (const { node, start } of words) node.addEventListener("click", () => { audio.currentTime = start; audio.play(); });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    mark();
  });
  audio.addEventListener("seeked", mark);
  audio.addEventListener("ended", mark);
}

for (const browser of document.querySelectorAll(".browser")) browse(browser);
for (const audio of document.querySelectorAll("audio")) listen(audio);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const entries = [...document.querySelectorAll(".entry:not([hidden])")];
  if (!entries.length) return;
  const here = document.activeElement.closest(".entry");
  if (event.key === "/") {
    event.preventDefault();
    (here ? here.closest(".browser") : document).querySelector("input[type=search]").focus();
  } else if (event.key === "j" || event.key === "k") {
    const place = entries.indexOf(here) + (event.key === "j" ? 1 : -1);
    const next = entries[Math.max(0, Math.min(entries.length - 1, place))];
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "center" });
  } else if (event.key === "p" && here && here.querySelector("audio")) {
    const audio = here.querySelector("audio");
    if (audio.paused) audio.play();
    else audio.pause();
  }
});
