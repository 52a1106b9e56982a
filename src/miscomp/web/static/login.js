// The login: sends name and password, says what was wrong, waits where the server says so.

const form = document.getElementById('login');
const said = document.getElementById('said');
const button = form.querySelector('button');

/** @param {string} text */
function tell(text) {
  said.textContent = text;
  said.hidden = text === '';
}

/** @param {number} seconds */
function wait(seconds) {
  button.disabled = true;
  const until = Date.now() + seconds * 1000;
  const timer = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      tell(`Too many attempts: wait ${left} s.`);
      return;
    }
    clearInterval(timer);
    button.disabled = false;
    tell('');
  }, 250);
}

/** @param {Response} answer */
async function refused(answer) {
  if (answer.status === 429) {
    wait(Number(answer.headers.get('Retry-After')) || 5);
    return;
  }
  const content = await answer.json().catch(() => ({}));
  const words = typeof content.error === 'string' ? content.error : `the server answered ${answer.status}`;
  tell(`${words.charAt(0).toUpperCase()}${words.slice(1)}.`);
  form.elements.password.select();
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  tell('');
  try {
    const answer = await fetch('/api/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: form.elements.name.value, password: form.elements.password.value }),
    });
    button.disabled = false;
    if (answer.ok) window.location.assign('/');
    else await refused(answer);
  } catch {
    button.disabled = false;
    tell('The server cannot be reached. Try again.');
  }
});
