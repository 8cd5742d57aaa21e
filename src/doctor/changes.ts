/** How a line of a unit is changed for good. */
export function inUnit(unit: string, lines: string | readonly string[], section = 'Service'): string {
  return `sudo systemctl edit ${unit}: under [${section}] ${[lines].flat().join(', ')}`;
}

export function bySysctl(name: string, value: number | string): string {
  return `${name} = ${value} in /etc/sysctl.d/rom-agent.conf, then sudo sysctl --system`;
}

/** In the plist of launchd.plist(5). */
export function inPlist(key: string, value: string): string {
  return `<key>${key}</key> ${value}, then launchctl bootout and bootstrap`;
}
