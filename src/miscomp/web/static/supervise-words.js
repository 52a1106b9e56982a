/** Numbers of the supervisor's page in words. */

/** A value in words, or what stands where nothing is known. */
export function known(value, words, otherwise = 'not known yet') {
  return value === null || value === undefined ? otherwise : words(value);
}

/** Seconds as hours, or as minutes below one. */
export function hours(seconds) {
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function percent(count, total) {
  return total ? `${((100 * count) / total).toFixed(0)} %` : 'none';
}

export function day(count) {
  return count === 1 ? '1 day' : `${count} days`;
}

/** A share with its interval in percent: `40 % (12 to 77 %)`; `none` of nothing. */
export function shareWords({ value, low, high }) {
  return known(value, (share) => `${percent(share, 1)} (${interval([100 * low, 100 * high], 0)} %)`, 'none');
}

/** `0.12 to 0.34`; an end that is not known is left open. */
export function interval(ends, digits) {
  return ends.map((end) => known(end, (value) => value.toFixed(digits), 'open')).join(' to ');
}
