/*
 * What node.mjs, tokens.mjs and browser.mjs share: cases that are declared, run
 * in turn and told as lib.sh has it. wshub: ISC licence, see LICENSE.
 */
import path from "node:path";

const cases = [];

export const test = (name, run) => cases.push([name, run]);

export function same(wanted, got, what) {
	const show = (x) => String(JSON.stringify(x)).slice(0, 300);
	if (JSON.stringify(wanted) !== JSON.stringify(got))
		throw new Error(`${what}: wanted ${show(wanted)}, got ${show(got)}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(ms, what, held) {
	for (const end = Date.now() + ms; !await held(); await sleep(5))
		if (Date.now() > end)
			throw new Error(`${what}: not in ${ms} ms`);
}

/*
 * Runs the cases of that file, which have so many seconds together, and exits.
 * A failure is told with its place in the file, but for frames that match
 * helpers. failed is called after each case that fails, last before the exit.
 */
export async function runCases(file, seconds, { helpers = /$^/,
    failed = () => {}, last = () => {} } = {}) {
	const name = path.basename(new URL(file).pathname);
	let failures = 0;

	setTimeout(async () => {
		console.log(`not ok - ${name} ends in ${seconds} s`);
		await last();
		process.exit(1);
	}, seconds * 1000).unref();
	for (const [what, run] of cases) {
		try {
			await run();
			console.log(`ok - ${what}`);
		} catch (error) {
			const places = (error.stack || "").split("\n").filter((line) =>
				line.includes(`/${name}:`) && !helpers.test(line));
			const at = /:(\d+):\d+\)?$/.exec(places[0])?.[1] ?? "?";
			console.log(`    ${name}:${at}: ${error.message.split("\n")[0]}`);
			console.log(`not ok - ${what}`);
			failures++;
			await failed();
		}
	}
	await last();
	process.exit(failures ? 1 : 0);
}
