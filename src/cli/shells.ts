/** Those that there is a completion for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
