// Read by node before Azurite: its clock is ahead by the seconds in a file, so that a lease runs out when a test says so.

const { readFileSync } = require('fs');

const Now = Date;
const now = () => Now.now() + 1000 * Number(readFileSync(process.env.AHEAD_FILE, 'utf8'));

global.Date = class extends Now {
  constructor(...parts) {
    super(...(parts.length ? parts : [now()]));
  }

  static now() {
    return now();
  }
};
