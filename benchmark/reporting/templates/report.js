// Without scripts the page is complete; with them tables sort by their headings, the first one filters, and figures
// tell the numbers under the pointer and hide the lines whose names are clicked.
"use strict";
const key = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.sort ?? cell.textContent.trim();
};
for (const table of document.querySelectorAll("section:not(#by-channels) table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => row.cells.length > column && !row.matches(".group"));
        rows.sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          if (x === "" || y === "") return (x === "") - (y === "");  // no value: last, whichever way
          const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
          return down ? -order : order;
        });
        body.append(...rows);
      }
    });
  });
}
const filter = document.getElementById("filter");
const rows = [...document.querySelectorAll("#results tbody tr:not(.group)")];
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const cells = (row.dataset.words ?? [...row.cells].map((cell) => cell.textContent.trim()).join("\n")).toLowerCase().split("\n");
    // A number must be a whole word: 8 finds 8 channels, not 98.1 %.
    row.hidden = !words.every((word) => cells.some((cell) => (isNaN(word) ? cell.includes(word) : cell.split(/[\s,()]+/).includes(word))));
    shown += !row.hidden;
  }
  for (const body of document.querySelectorAll("#results tbody")) body.hidden = ![...body.rows].some((row) => !row.hidden && !row.matches(".group"));
  document.getElementById("shown").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
});

const hover = document.getElementById("hover");
for (const svg of document.querySelectorAll("svg")) {
  const points = [...svg.querySelectorAll("use > title")].map((title) => {
    const words = title.textContent;
    const use = title.parentNode;
    title.remove();  // the browser's own would come a second later
    return {use, words, series: use.closest("[data-series]")};
  });
  const tell = (event) => {
    let nearest = null, least = 22;
    for (const point of points) {
      if (point.series.classList.contains("off")) continue;
      const box = point.use.getBoundingClientRect();
      const far = Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
      if (far < least) [nearest, least] = [point, far];
    }
    hover.hidden = !nearest;
    if (!nearest) return;
    hover.textContent = nearest.words;
    const left = Math.min(event.clientX + 14, innerWidth - hover.offsetWidth - 8);
    const above = event.clientY - hover.offsetHeight - 14;
    hover.style.left = `${Math.max(8, left)}px`;
    hover.style.top = `${above > 4 ? above : event.clientY + 18}px`;
  };
  svg.addEventListener("pointermove", tell);
  svg.addEventListener("pointerdown", tell);
  svg.addEventListener("pointerleave", () => { hover.hidden = true; });
  for (const name of svg.querySelectorAll("[data-legend]")) {
    name.setAttribute("role", "button");
    name.setAttribute("tabindex", "0");
    name.setAttribute("aria-pressed", "true");
    const toggle = () => {
      const off = name.classList.toggle("off");
      name.setAttribute("aria-pressed", String(!off));
      for (const part of svg.querySelectorAll("[data-series]"))
        if (part.dataset.series === name.dataset.legend) part.classList.toggle("off", off);
    };
    name.addEventListener("click", toggle);
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); }
    });
  }
}

// A link into a folded section unfolds it, and paper has no folds.
const unfold = () => {
  const section = location.hash && document.getElementById(location.hash.slice(1));
  if (section) for (const one of section.querySelectorAll(":scope > details")) one.open = true;
};
addEventListener("hashchange", unfold);
unfold();
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("section > details")) one.open = true; });
