// Names of events. Oracle: the form that the server's `messages.Uuid` takes (RFC 9562, version 4).
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newId } from '../../../src/miscomp/web/static/elements.js';

const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('events have names of their own, also on a page that came without TLS', () => {
  const few = Array.from({ length: 20 }, newId);
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
  const more = Array.from({ length: 20 }, newId);
  for (const one of [...few, ...more]) assert.match(one, FORM);
  assert.equal(new Set([...few, ...more]).size, 40);
});
