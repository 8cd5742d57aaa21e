# bash completion for rom-agent, made by: rom-agent completion bash

_rom_agent() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' file='' i
  # "--flag=value" comes as three words, for "=" is one of COMP_WORDBREAKS.
  if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      serve | check | doctor | install | import | uninstall | list | status | health | reload | abort | scale | restart | stack | profile | heap-snapshot | stop | history | events | config | init | completion)
        command=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  case $command in
    '')
      words='serve check doctor install import uninstall list status health reload abort scale restart stack profile heap-snapshot stop history events config init completion help --version --help'
      ;;
    serve)
      case $prev in
        --config) file=1 ;;
        --kind) words='server process' ;;
        --wait-ready) words='on off' ;;
        --args) words='' ;;
        --node-args) words='' ;;
        --working-directory) file=1 ;;
        --mode) words='single cluster turbo' ;;
        --workers) words='' ;;
        --port) words='' ;;
        --host) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --restart-intensity) words='' ;;
        --restart-window) words='' ;;
        --restart-crash-delay) words='' ;;
        --restart-crash-delay-max) words='' ;;
        --restart-boot-delay) words='' ;;
        --restart-boot-delay-max) words='' ;;
        --reload-soak) words='' ;;
        --reload-probe) words='' ;;
        --reload-probe-timeout) words='' ;;
        --reload-max-errors) words='' ;;
        --reload-max-latency) words='' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --boot-timeout --drain-timeout --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --routes-prefix --spares --start-probe --health-slow-delay --health-slow-limit --health-probe --health-master-timeout --health-capture --memory-max-rss --memory-max-heap --memory-pressure --poison-deaths --poison-window --poison-block --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --log-level --log-format --log-dir --log-stats-interval --watch --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    check)
      case $prev in
        --config) file=1 ;;
        --kind) words='server process' ;;
        --wait-ready) words='on off' ;;
        --args) words='' ;;
        --node-args) words='' ;;
        --working-directory) file=1 ;;
        --mode) words='single cluster turbo' ;;
        --workers) words='' ;;
        --port) words='' ;;
        --host) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --restart-intensity) words='' ;;
        --restart-window) words='' ;;
        --restart-crash-delay) words='' ;;
        --restart-crash-delay-max) words='' ;;
        --restart-boot-delay) words='' ;;
        --restart-boot-delay-max) words='' ;;
        --reload-soak) words='' ;;
        --reload-probe) words='' ;;
        --reload-probe-timeout) words='' ;;
        --reload-max-errors) words='' ;;
        --reload-max-latency) words='' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --name) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --boot-timeout --drain-timeout --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --routes-prefix --spares --start-probe --health-slow-delay --health-slow-limit --health-probe --health-master-timeout --health-capture --memory-max-rss --memory-max-heap --memory-pressure --poison-deaths --poison-window --poison-block --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --log-level --log-format --log-dir --log-stats-interval --name --changed --json --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    doctor)
      case $prev in
        --config) file=1 ;;
        --kind) words='server process' ;;
        --wait-ready) words='on off' ;;
        --args) words='' ;;
        --node-args) words='' ;;
        --working-directory) file=1 ;;
        --mode) words='single cluster turbo' ;;
        --workers) words='' ;;
        --port) words='' ;;
        --host) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --restart-intensity) words='' ;;
        --restart-window) words='' ;;
        --restart-crash-delay) words='' ;;
        --restart-crash-delay-max) words='' ;;
        --restart-boot-delay) words='' ;;
        --restart-boot-delay-max) words='' ;;
        --reload-soak) words='' ;;
        --reload-probe) words='' ;;
        --reload-probe-timeout) words='' ;;
        --reload-max-errors) words='' ;;
        --reload-max-latency) words='' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --name) words='' ;;
        --unit) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --boot-timeout --drain-timeout --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --routes-prefix --spares --start-probe --health-slow-delay --health-slow-limit --health-probe --health-master-timeout --health-capture --memory-max-rss --memory-max-heap --memory-pressure --poison-deaths --poison-window --poison-block --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --log-level --log-format --log-dir --log-stats-interval --name --unit --all --json --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    install)
      case $prev in
        --name) words='' ;;
        --user) words='' ;;
        --group) words='' ;;
        --env-file) words='' ;;
        --kind) words='server process' ;;
        --wait-ready) words='on off' ;;
        --args) words='' ;;
        --node-args) words='' ;;
        --working-directory) file=1 ;;
        --mode) words='single cluster turbo' ;;
        --workers) words='' ;;
        --port) words='' ;;
        --host) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --restart-intensity) words='' ;;
        --restart-window) words='' ;;
        --restart-crash-delay) words='' ;;
        --restart-crash-delay-max) words='' ;;
        --restart-boot-delay) words='' ;;
        --restart-boot-delay-max) words='' ;;
        --reload-soak) words='' ;;
        --reload-probe) words='' ;;
        --reload-probe-timeout) words='' ;;
        --reload-max-errors) words='' ;;
        --reload-max-latency) words='' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        *)
          words='--name --user --group --env-file --socket --dry-run --yes --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --boot-timeout --drain-timeout --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --routes-prefix --spares --start-probe --health-slow-delay --health-slow-limit --health-probe --health-master-timeout --health-capture --memory-max-rss --memory-max-heap --memory-pressure --poison-deaths --poison-window --poison-block --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --log-level --log-format --log-dir --log-stats-interval --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    import)
      case $prev in
        --env) words='' ;;
        --only) words='' ;;
        --server) words='' ;;
        --process) words='' ;;
        --give-back) words='' ;;
        *)
          words='--env --only --server --process --socket --take-over --no-trial --give-back --dry-run --yes --json --help'
          ;;
      esac
      ;;
    uninstall)
      case $prev in
        *)
          words='--purge --dry-run --yes --help'
          ;;
      esac
      ;;
    list)
      case $prev in
        *)
          words='--json --help'
          ;;
      esac
      ;;
    status)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--watch --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    health)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--name --control-socket --config --help'
          ;;
      esac
      ;;
    reload)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--no-soak --no-rollback --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    abort)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--name --control-socket --config --help'
          ;;
      esac
      ;;
    scale)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--no-wait --name --control-socket --config --help'
          ;;
      esac
      ;;
    restart)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--name --control-socket --config --help'
          ;;
      esac
      ;;
    stack)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--json --name --control-socket --config --help'
          ;;
      esac
      ;;
    profile)
      case $prev in
        --seconds) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--seconds --name --control-socket --config --help'
          ;;
      esac
      ;;
    heap-snapshot)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--name --control-socket --config --help'
          ;;
      esac
      ;;
    stop)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--name --control-socket --config --help'
          ;;
      esac
      ;;
    history)
      case $prev in
        -n | --number) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--number --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    events)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--json --name --control-socket --config --help'
          ;;
      esac
      ;;
    config)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--changed --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    init)
      case $prev in
        *)
          words='--stdout --help'
          ;;
      esac
      ;;
    completion)
      case $prev in
        *)
          words='bash zsh fish --help'
          ;;
      esac
      ;;
  esac
  COMPREPLY=()
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(
    if [[ -n $file ]]; then compgen -f -- "$cur"; fi
    compgen -W "$words" -- "$cur"
  )
  if [[ -n $file ]]; then compopt -o filenames 2>/dev/null; fi
  return 0
}

complete -F _rom_agent rom-agent
