// The pairs of the guide: pointing at one shows its reconstruction, Space, Enter or a tap flips it.

/** @param {HTMLElement} button */
function prepare(button) {
  let pointing = false, chosen = false;
  const tell = () => button.setAttribute('aria-pressed', String(pointing !== chosen));
  button.addEventListener('pointerenter', (event) => {
    pointing = event.pointerType === 'mouse';
    tell();
  });
  button.addEventListener('pointerleave', () => {
    // Whoever comes back finds the pair as it was: the original, until it is pointed at.
    pointing = chosen = false;
    tell();
  });
  button.addEventListener('click', () => {
    chosen = !chosen;
    tell();
  });
  button.addEventListener('blur', () => {
    chosen = false;
    tell();
  });
}

for (const button of document.querySelectorAll('.flip')) prepare(button);
