"use strict";
// Filters of the samples. Without this script the page shows all of them.
(() => {
  const form = document.querySelector(".filters");
  const samples = [...document.querySelectorAll(".sample")];
  const none = document.querySelector(".none");
  const texts = new Map();
  const text = (sample) => {
    if (!texts.has(sample)) texts.set(sample, sample.textContent.toLowerCase());
    return texts.get(sample);
  };
  const wanted = (name) => form.elements[name].value;
  const apply = () => {
    const search = wanted("text").trim().toLowerCase();
    let shown = 0;
    for (const sample of samples) {
      const fits = (name) => !wanted(name) || sample.dataset[name].split(" ").includes(wanted(name));
      const shows =
        (!wanted("subset") || sample.dataset.subset === wanted("subset")) &&
        (!wanted("category") || sample.dataset.category === wanted("category")) &&
        fits("verdict") && fits("change") && (!search || text(sample).includes(search));
      sample.hidden = !shows;
      shown += shows;
    }
    form.querySelector("output").textContent = `${shown} of ${samples.length}`;
    none.hidden = shown > 0;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = samples.length < 2;
  apply();
  // On paper nothing can be unfolded.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
