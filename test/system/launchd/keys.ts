/** How a value is written in a property list; `ints` and the like are dictionaries or arrays of such values. */
export type Kind =
  | 'string'
  | 'integer'
  | 'boolean'
  | 'strings'
  | 'dict'
  | 'dict of integers'
  | 'dict of strings'
  | 'array';

/** Every top-level key of launchd.plist(5) on macOS 15 and what its value may be. */
export const topLevelKeys: Readonly<Record<string, readonly Kind[]>> = {
  AbandonProcessGroup: ['boolean'],
  AssociatedBundleIdentifiers: ['string', 'strings'],
  BundleProgram: ['string'],
  Debug: ['boolean'],
  Disabled: ['boolean'],
  EnableGlobbing: ['boolean'],
  EnablePressuredExit: ['boolean'],
  EnableTransactions: ['boolean'],
  EnvironmentVariables: ['dict of strings'],
  ExitTimeOut: ['integer'],
  GroupName: ['string'],
  HardResourceLimits: ['dict of integers'],
  InitGroups: ['boolean'],
  KeepAlive: ['boolean', 'dict'],
  Label: ['string'],
  LaunchEvents: ['dict'],
  LaunchOnlyOnce: ['boolean'],
  LegacyTimers: ['boolean'],
  LimitLoadFromHardware: ['dict'],
  LimitLoadFromHosts: ['strings'],
  LimitLoadToHardware: ['dict'],
  LimitLoadToHosts: ['strings'],
  LimitLoadToSessionType: ['string', 'strings'],
  LowPriorityBackgroundIO: ['boolean'],
  LowPriorityIO: ['boolean'],
  MachServices: ['dict'],
  MaterializeDatalessFiles: ['boolean'],
  Nice: ['integer'],
  OnDemand: ['boolean'],
  ProcessType: ['string'],
  Program: ['string'],
  ProgramArguments: ['strings'],
  QueueDirectories: ['strings'],
  RootDirectory: ['string'],
  RunAtLoad: ['boolean'],
  SessionCreate: ['boolean'],
  Sockets: ['dict'],
  SoftResourceLimits: ['dict of integers'],
  StandardErrorPath: ['string'],
  StandardInPath: ['string'],
  StandardOutPath: ['string'],
  StartCalendarInterval: ['dict', 'array'],
  StartInterval: ['integer'],
  StartOnMount: ['boolean'],
  ThrottleInterval: ['integer'],
  TimeOut: ['integer'],
  Umask: ['integer', 'string'],
  UserName: ['string'],
  WaitForDebugger: ['boolean'],
  WatchPaths: ['strings'],
  WorkingDirectory: ['string'],
  inetdCompatibility: ['dict'],
};

/** The keys of the dictionaries that the shipped plist may contain; EnvironmentVariables takes any. */
export const nestedKeys: Readonly<Record<string, readonly string[]>> = {
  KeepAlive: [
    'SuccessfulExit',
    'Crashed',
    'PathState',
    'OtherJobEnabled',
    'NetworkState',
    'AfterInitialDemand',
  ],
  SoftResourceLimits: limits(),
  HardResourceLimits: limits(),
};

function limits(): readonly string[] {
  return [
    'Core',
    'CPU',
    'Data',
    'FileSize',
    'MemoryLock',
    'NumberOfFiles',
    'NumberOfProcesses',
    'ResidentSetSize',
    'Stack',
  ];
}
