// Reads what a script needs from the environment. The variable names are those of the official x402
// end-to-end suite, so its own processes could stand in for these and the other way round.

/** The variable's value; a script that cannot run without it says so and stops. */
export function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

/** The variable's value, or `fallback` where it is unset or empty. */
export function optional(name, fallback) {
  return process.env[name] || fallback;
}
