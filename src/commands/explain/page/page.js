"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll("#files tbody tr")];
  const texts = rows.map((row) => row.cells[0].textContent.toLowerCase());
  const members = rows.map((row) => new Set((row.dataset.r || "").split(" ")));
  const buttons = [...document.querySelectorAll("button[data-r]")];
  const [search, who, set, state, shown] = ["search", "who", "set", "state", "shown"].map(by);
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      const fits =
        words.every((word) => texts[i].includes(word)) &&
        (!who.value || members[i].has(who.value)) &&
        (!set.value || row.dataset.k === set.value) &&
        (!state.value || row.dataset.s.includes(state.value));
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = `${count} of ${rows.length} files`;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(who.value === button.dataset.r)));
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 80);
  });
  [who, set, state].forEach((select) => select.addEventListener("change", apply));
  const reset = () => {
    [search, who, set, state].forEach((field) => (field.value = ""));
    apply();
  };
  by("reset").addEventListener("click", reset);
  by("all").addEventListener("click", () => {
    const visible = rows.filter((row) => !row.hidden).map((row) => row.querySelector("details"));
    const open = !visible.every((one) => one.open);
    visible.forEach((one) => (one.open = open));
  });
  buttons.forEach((button) =>
    button.addEventListener("click", () => {
      who.value = who.value === button.dataset.r ? "" : button.dataset.r;
      apply();
      if (!button.closest("#files")) by("files").scrollIntoView();
    })
  );
  document.querySelectorAll("button[data-k]").forEach((button) =>
    button.addEventListener("click", () => {
      set.value = button.dataset.k;
      apply();
      by("files").scrollIntoView();
    })
  );
  document.addEventListener("click", (event) => {
    const link = event.target.closest("li a");
    const row = link && by(link.getAttribute("href").slice(1));
    if (!row) return;
    event.preventDefault();
    if (row.hidden) reset();
    row.scrollIntoView({ block: "center" });
    row.querySelector("details").open = true;
    row.querySelector("summary").focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      apply();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.tagName === "SUMMARY") {
      const step = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
      let row = event.target.closest("tr")[step];
      while (row && row.hidden) row = row[step];
      if (row) {
        event.preventDefault();
        row.querySelector("summary").focus();
      }
    }
  });
  by("controls").hidden = false;
  apply();
})();
