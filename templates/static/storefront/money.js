// Amounts are integers in minor units. Their decimal string is made from digits, never by dividing.

export function decimal(amount, exponent) {
  const digits = String(Math.abs(amount)).padStart(exponent + 1, "0");
  const sign = amount < 0 ? "-" : "";
  const split = digits.length - exponent;
  return exponent === 0 ? sign + digits : `${sign}${digits.slice(0, split)}.${digits.slice(split)}`;
}

export function formatter({ locale, currency, exponent }) {
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return (amount) => format.format(decimal(amount, exponent));
}
