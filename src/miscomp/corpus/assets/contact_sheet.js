"use strict";
(() => {
  const links = [...document.querySelectorAll("figure a")];
  const byId = (id) => document.getElementById(id);
  const dialog = byId("large"), picture = byId("large-picture"), stage = byId("stage"), whole = byId("whole");
  let at = 0;

  // Both keep the picture's proportions; only one shows a pixel as a pixel.
  const showWhole = (on) => {
    stage.classList.toggle("whole", on);
    whole.setAttribute("aria-pressed", String(on));
    if (on) {
      stage.scrollTo((stage.scrollWidth - stage.clientWidth) / 2, (stage.scrollHeight - stage.clientHeight) / 2);
    }
  };
  const show = (number) => {
    if (number < 0 || number >= links.length) return;
    at = number;
    showWhole(false);
    byId("large-size").textContent = "loading …";
    picture.alt = "Picture " + links[at].dataset.number;
    picture.src = links[at].href;
    byId("large-number").textContent = links[at].dataset.number;
    if (!dialog.open) dialog.showModal();
    stage.focus();
  };
  picture.addEventListener("load", () => {
    byId("large-size").textContent = picture.naturalWidth + " × " + picture.naturalHeight + " pixels";
  });
  picture.addEventListener("error", () => {
    byId("large-size").textContent = "cannot be shown: the file is not there any more";
  });
  links.forEach((link, number) => link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(number);
  }));
  dialog.addEventListener("close", () => links[at].focus());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    else if (event.key === "ArrowRight") show(at + 1);
    else if (event.key === " " && event.target === stage) showWhole(!stage.classList.contains("whole"));
    else return;
    event.preventDefault();
  });
  picture.addEventListener("click", () => showWhole(!stage.classList.contains("whole")));
  whole.addEventListener("click", () => showWhole(!stage.classList.contains("whole")));
  byId("before").addEventListener("click", () => show(at - 1));
  byId("after").addEventListener("click", () => show(at + 1));
  byId("close").addEventListener("click", () => dialog.close());
})();
