// The button that ends the session, on every page.

const LONGEST_MS = 2000;
const button = document.getElementById('logout');

button.addEventListener('click', async () => {
  const csrf = document.querySelector('meta[name="csrf"]').content;
  button.disabled = true;
  const waiting = [];
  window.dispatchEvent(new CustomEvent('miscomp-logout', { detail: { waitFor: (one) => waiting.push(one) } }));
  // A page may have something to say first; a server that is away keeps nobody in.
  await Promise.race([Promise.allSettled(waiting), new Promise((done) => { setTimeout(done, LONGEST_MS); })]);
  try {
    const answer = await fetch('/api/logout', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Miscomp-CSRF': csrf },
      body: '{}',
    });
    if (answer.ok || answer.status === 401) {
      window.dispatchEvent(new Event('miscomp-logged-out'));
      window.location.assign('/login');
    } else button.textContent = `Not logged out (${answer.status}): try again`;
  } catch {
    button.textContent = 'Not logged out, the server is away: try again';
  }
  button.disabled = false;
});
