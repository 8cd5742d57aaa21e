# bash completion for rom-agent, made by: rom-agent completion bash

_rom_agent() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' file='' i
  # "--flag=value" comes as three words, for "=" is one of COMP_WORDBREAKS.
  if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      serve | check | rehearse | init | install | import | uninstall | list | doctor | reload | abort | scale | restart | stop | upgrade | deploy | rollback | releases | jobs | queues | notify | history | status | top | health | logs | dashboard | why | events | stack | profile | heap-snapshot | config | replay | completion)
        command=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  case $command in
    '')
      words='serve check rehearse init install import uninstall list doctor reload abort scale restart stop upgrade deploy rollback releases jobs queues notify history status top health logs dashboard why events stack profile heap-snapshot config replay completion help --version --help'
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
        --listen-wait) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --worker-ports) words='' ;;
        --keep-alive-timeout) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --lame-duck) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --admin) words='' ;;
        --admin-token-file) file=1 ;;
        --admin-socket-mode) words='' ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --max-age) words='' ;;
        --max-requests) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-check) words='' ;;
        --health-check-interval) words='' ;;
        --health-check-timeout) words='' ;;
        --health-check-failures) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --health-stall-report) words='' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --memory-trim) words='on off' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --poison-cell) words='on off' ;;
        --poison-cell-requests) words='' ;;
        --poison-cell-timeout) words='' ;;
        --poison-cell-memory) words='' ;;
        --shed-event-loop-delay) words='' ;;
        --shed-in-flight) words='' ;;
        --shed-retry-after) words='' ;;
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
        --reload-mirror) words='off safe' ;;
        --reload-mirror-routes) words='' ;;
        --reload-mirror-credentials) words='off on' ;;
        --reload-mirror-rate) words='' ;;
        --reload-mirror-requests) words='' ;;
        --reload-mirror-time) words='' ;;
        --reload-mirror-differences) words='' ;;
        --metrics-enabled) words='on off' ;;
        --metrics-http) words='on off' ;;
        --metrics-app) words='on off' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --record-size) words='' ;;
        --notify-command) words='' ;;
        --notify-webhook) words='' ;;
        --notify-webhook-file) file=1 ;;
        --notify-token-file) file=1 ;;
        --notify-interval) words='' ;;
        --notify-unhealthy-after) words='' ;;
        --scale-target) words='' ;;
        --scale-down-after) words='' ;;
        --deploy-source) words='' ;;
        --deploy-ref) words='' ;;
        --deploy-sha256) words='' ;;
        --deploy-directory) file=1 ;;
        --deploy-install) words='' ;;
        --deploy-build) words='' ;;
        --deploy-test) words='' ;;
        --deploy-steps) words='' ;;
        --deploy-step-timeout) words='' ;;
        --deploy-fetch-timeout) words='' ;;
        --deploy-user) words='' ;;
        --deploy-env) words='' ;;
        --deploy-keep) words='' ;;
        --deploy-min-free) words='' ;;
        --deploy-min-free-inodes) words='' ;;
        --deploy-schedule) words='' ;;
        --deploy-window) words='' ;;
        --deploy-hook-secret-file) file=1 ;;
        --deploy-hook-branch) words='' ;;
        --fleet-redis-url) words='' ;;
        --fleet-redis-url-file) file=1 ;;
        --fleet-name) words='' ;;
        --fleet-host) words='' ;;
        --fleet-tls-ca) file=1 ;;
        --fleet-canary-host) words='' ;;
        --fleet-reload) words='one-at-a-time any' ;;
        --access-log-format) words='off combined json' ;;
        --access-log-file) file=1 ;;
        --access-log-sample) words='' ;;
        --access-log-errors) words='on off' ;;
        --access-log-slow) words='' ;;
        --access-log-request-id) words='on off' ;;
        --access-log-trusted-proxies) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --listen-wait --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --worker-ports --keep-alive-timeout --boot-timeout --drain-timeout --lame-duck --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --admin --admin-token-file --admin-socket-mode --routes-prefix --spares --max-age --max-requests --start-probe --health-slow-delay --health-slow-limit --health-probe --health-check --health-check-interval --health-check-timeout --health-check-failures --health-master-timeout --health-capture --health-stall-report --memory-max-rss --memory-max-heap --memory-pressure --memory-trim --poison-deaths --poison-window --poison-block --poison-cell --poison-cell-requests --poison-cell-timeout --poison-cell-memory --shed-event-loop-delay --shed-in-flight --shed-retry-after --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --reload-mirror --reload-mirror-routes --reload-mirror-credentials --reload-mirror-rate --reload-mirror-requests --reload-mirror-time --reload-mirror-differences --metrics-enabled --metrics-http --metrics-app --log-level --log-format --log-dir --log-stats-interval --record-size --notify-command --notify-webhook --notify-webhook-file --notify-token-file --notify-interval --notify-unhealthy-after --scale-target --scale-down-after --deploy-source --deploy-ref --deploy-sha256 --deploy-directory --deploy-install --deploy-build --deploy-test --deploy-steps --deploy-step-timeout --deploy-fetch-timeout --deploy-user --deploy-env --deploy-keep --deploy-min-free --deploy-min-free-inodes --deploy-schedule --deploy-window --deploy-hook-secret-file --deploy-hook-branch --fleet-redis-url --fleet-redis-url-file --fleet-name --fleet-host --fleet-tls-ca --fleet-canary-host --fleet-reload --access-log-format --access-log-file --access-log-sample --access-log-errors --access-log-slow --access-log-request-id --access-log-trusted-proxies --watch --help'
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
        --listen-wait) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --worker-ports) words='' ;;
        --keep-alive-timeout) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --lame-duck) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --admin) words='' ;;
        --admin-token-file) file=1 ;;
        --admin-socket-mode) words='' ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --max-age) words='' ;;
        --max-requests) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-check) words='' ;;
        --health-check-interval) words='' ;;
        --health-check-timeout) words='' ;;
        --health-check-failures) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --health-stall-report) words='' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --memory-trim) words='on off' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --poison-cell) words='on off' ;;
        --poison-cell-requests) words='' ;;
        --poison-cell-timeout) words='' ;;
        --poison-cell-memory) words='' ;;
        --shed-event-loop-delay) words='' ;;
        --shed-in-flight) words='' ;;
        --shed-retry-after) words='' ;;
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
        --reload-mirror) words='off safe' ;;
        --reload-mirror-routes) words='' ;;
        --reload-mirror-credentials) words='off on' ;;
        --reload-mirror-rate) words='' ;;
        --reload-mirror-requests) words='' ;;
        --reload-mirror-time) words='' ;;
        --reload-mirror-differences) words='' ;;
        --metrics-enabled) words='on off' ;;
        --metrics-http) words='on off' ;;
        --metrics-app) words='on off' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --record-size) words='' ;;
        --notify-command) words='' ;;
        --notify-webhook) words='' ;;
        --notify-webhook-file) file=1 ;;
        --notify-token-file) file=1 ;;
        --notify-interval) words='' ;;
        --notify-unhealthy-after) words='' ;;
        --scale-target) words='' ;;
        --scale-down-after) words='' ;;
        --deploy-source) words='' ;;
        --deploy-ref) words='' ;;
        --deploy-sha256) words='' ;;
        --deploy-directory) file=1 ;;
        --deploy-install) words='' ;;
        --deploy-build) words='' ;;
        --deploy-test) words='' ;;
        --deploy-steps) words='' ;;
        --deploy-step-timeout) words='' ;;
        --deploy-fetch-timeout) words='' ;;
        --deploy-user) words='' ;;
        --deploy-env) words='' ;;
        --deploy-keep) words='' ;;
        --deploy-min-free) words='' ;;
        --deploy-min-free-inodes) words='' ;;
        --deploy-schedule) words='' ;;
        --deploy-window) words='' ;;
        --deploy-hook-secret-file) file=1 ;;
        --deploy-hook-branch) words='' ;;
        --fleet-redis-url) words='' ;;
        --fleet-redis-url-file) file=1 ;;
        --fleet-name) words='' ;;
        --fleet-host) words='' ;;
        --fleet-tls-ca) file=1 ;;
        --fleet-canary-host) words='' ;;
        --fleet-reload) words='one-at-a-time any' ;;
        --access-log-format) words='off combined json' ;;
        --access-log-file) file=1 ;;
        --access-log-sample) words='' ;;
        --access-log-errors) words='on off' ;;
        --access-log-slow) words='' ;;
        --access-log-request-id) words='on off' ;;
        --access-log-trusted-proxies) words='' ;;
        --name) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --listen-wait --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --worker-ports --keep-alive-timeout --boot-timeout --drain-timeout --lame-duck --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --admin --admin-token-file --admin-socket-mode --routes-prefix --spares --max-age --max-requests --start-probe --health-slow-delay --health-slow-limit --health-probe --health-check --health-check-interval --health-check-timeout --health-check-failures --health-master-timeout --health-capture --health-stall-report --memory-max-rss --memory-max-heap --memory-pressure --memory-trim --poison-deaths --poison-window --poison-block --poison-cell --poison-cell-requests --poison-cell-timeout --poison-cell-memory --shed-event-loop-delay --shed-in-flight --shed-retry-after --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --reload-mirror --reload-mirror-routes --reload-mirror-credentials --reload-mirror-rate --reload-mirror-requests --reload-mirror-time --reload-mirror-differences --metrics-enabled --metrics-http --metrics-app --log-level --log-format --log-dir --log-stats-interval --record-size --notify-command --notify-webhook --notify-webhook-file --notify-token-file --notify-interval --notify-unhealthy-after --scale-target --scale-down-after --deploy-source --deploy-ref --deploy-sha256 --deploy-directory --deploy-install --deploy-build --deploy-test --deploy-steps --deploy-step-timeout --deploy-fetch-timeout --deploy-user --deploy-env --deploy-keep --deploy-min-free --deploy-min-free-inodes --deploy-schedule --deploy-window --deploy-hook-secret-file --deploy-hook-branch --fleet-redis-url --fleet-redis-url-file --fleet-name --fleet-host --fleet-tls-ca --fleet-canary-host --fleet-reload --access-log-format --access-log-file --access-log-sample --access-log-errors --access-log-slow --access-log-request-id --access-log-trusted-proxies --name --changed --json --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    rehearse)
      case $prev in
        --config) file=1 ;;
        --workers) words='' ;;
        --paths) words='' ;;
        --har) words='' ;;
        --openapi) words='' ;;
        --cut) words='' ;;
        --only) words='' ;;
        --duration) words='' ;;
        --junit) words='' ;;
        *)
          words='--config --workers --paths --har --openapi --cut --only --duration --junit --json --help'
          if [[ $cur != -* ]]; then file=1; fi
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
        --listen-wait) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --worker-ports) words='' ;;
        --keep-alive-timeout) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --lame-duck) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --admin) words='' ;;
        --admin-token-file) file=1 ;;
        --admin-socket-mode) words='' ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --max-age) words='' ;;
        --max-requests) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-check) words='' ;;
        --health-check-interval) words='' ;;
        --health-check-timeout) words='' ;;
        --health-check-failures) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --health-stall-report) words='' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --memory-trim) words='on off' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --poison-cell) words='on off' ;;
        --poison-cell-requests) words='' ;;
        --poison-cell-timeout) words='' ;;
        --poison-cell-memory) words='' ;;
        --shed-event-loop-delay) words='' ;;
        --shed-in-flight) words='' ;;
        --shed-retry-after) words='' ;;
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
        --reload-mirror) words='off safe' ;;
        --reload-mirror-routes) words='' ;;
        --reload-mirror-credentials) words='off on' ;;
        --reload-mirror-rate) words='' ;;
        --reload-mirror-requests) words='' ;;
        --reload-mirror-time) words='' ;;
        --reload-mirror-differences) words='' ;;
        --metrics-enabled) words='on off' ;;
        --metrics-http) words='on off' ;;
        --metrics-app) words='on off' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --record-size) words='' ;;
        --notify-command) words='' ;;
        --notify-webhook) words='' ;;
        --notify-webhook-file) file=1 ;;
        --notify-token-file) file=1 ;;
        --notify-interval) words='' ;;
        --notify-unhealthy-after) words='' ;;
        --scale-target) words='' ;;
        --scale-down-after) words='' ;;
        --deploy-source) words='' ;;
        --deploy-ref) words='' ;;
        --deploy-sha256) words='' ;;
        --deploy-directory) file=1 ;;
        --deploy-install) words='' ;;
        --deploy-build) words='' ;;
        --deploy-test) words='' ;;
        --deploy-steps) words='' ;;
        --deploy-step-timeout) words='' ;;
        --deploy-fetch-timeout) words='' ;;
        --deploy-user) words='' ;;
        --deploy-env) words='' ;;
        --deploy-keep) words='' ;;
        --deploy-min-free) words='' ;;
        --deploy-min-free-inodes) words='' ;;
        --deploy-schedule) words='' ;;
        --deploy-window) words='' ;;
        --deploy-hook-secret-file) file=1 ;;
        --deploy-hook-branch) words='' ;;
        --fleet-redis-url) words='' ;;
        --fleet-redis-url-file) file=1 ;;
        --fleet-name) words='' ;;
        --fleet-host) words='' ;;
        --fleet-tls-ca) file=1 ;;
        --fleet-canary-host) words='' ;;
        --fleet-reload) words='one-at-a-time any' ;;
        --access-log-format) words='off combined json' ;;
        --access-log-file) file=1 ;;
        --access-log-sample) words='' ;;
        --access-log-errors) words='on off' ;;
        --access-log-slow) words='' ;;
        --access-log-request-id) words='on off' ;;
        --access-log-trusted-proxies) words='' ;;
        *)
          words='--name --user --group --env-file --socket --dry-run --yes --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --listen-wait --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --worker-ports --keep-alive-timeout --boot-timeout --drain-timeout --lame-duck --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --admin --admin-token-file --admin-socket-mode --routes-prefix --spares --max-age --max-requests --start-probe --health-slow-delay --health-slow-limit --health-probe --health-check --health-check-interval --health-check-timeout --health-check-failures --health-master-timeout --health-capture --health-stall-report --memory-max-rss --memory-max-heap --memory-pressure --memory-trim --poison-deaths --poison-window --poison-block --poison-cell --poison-cell-requests --poison-cell-timeout --poison-cell-memory --shed-event-loop-delay --shed-in-flight --shed-retry-after --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --reload-mirror --reload-mirror-routes --reload-mirror-credentials --reload-mirror-rate --reload-mirror-requests --reload-mirror-time --reload-mirror-differences --metrics-enabled --metrics-http --metrics-app --log-level --log-format --log-dir --log-stats-interval --record-size --notify-command --notify-webhook --notify-webhook-file --notify-token-file --notify-interval --notify-unhealthy-after --scale-target --scale-down-after --deploy-source --deploy-ref --deploy-sha256 --deploy-directory --deploy-install --deploy-build --deploy-test --deploy-steps --deploy-step-timeout --deploy-fetch-timeout --deploy-user --deploy-env --deploy-keep --deploy-min-free --deploy-min-free-inodes --deploy-schedule --deploy-window --deploy-hook-secret-file --deploy-hook-branch --fleet-redis-url --fleet-redis-url-file --fleet-name --fleet-host --fleet-tls-ca --fleet-canary-host --fleet-reload --access-log-format --access-log-file --access-log-sample --access-log-errors --access-log-slow --access-log-request-id --access-log-trusted-proxies --help'
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
        --listen-wait) words='' ;;
        --socket-mode) words='' ;;
        --node-env) words='' ;;
        --dispatch) words='shared round-robin reuseport' ;;
        --balance) words='auto on off' ;;
        --sticky) words='off address cookie' ;;
        --sticky-cookie) words='' ;;
        --max-old-space-size) words='' ;;
        --max-semi-space-size) words='' ;;
        --memory-budget) words='' ;;
        --worker-ports) words='' ;;
        --keep-alive-timeout) words='' ;;
        --boot-timeout) words='' ;;
        --drain-timeout) words='' ;;
        --lame-duck) words='' ;;
        --linger) words='' ;;
        --hang-timeout) words='' ;;
        --orphan-timeout) words='' ;;
        --websockets) words='close leave' ;;
        --redact) words='on off' ;;
        --control-socket) file=1 ;;
        --state-dir) file=1 ;;
        --admin) words='' ;;
        --admin-token-file) file=1 ;;
        --admin-socket-mode) words='' ;;
        --routes-prefix) words='' ;;
        --spares) words='' ;;
        --max-age) words='' ;;
        --max-requests) words='' ;;
        --start-probe) words='' ;;
        --health-slow-delay) words='' ;;
        --health-slow-limit) words='' ;;
        --health-probe) words='' ;;
        --health-check) words='' ;;
        --health-check-interval) words='' ;;
        --health-check-timeout) words='' ;;
        --health-check-failures) words='' ;;
        --health-master-timeout) words='' ;;
        --health-capture) words='on off' ;;
        --health-stall-report) words='' ;;
        --memory-max-rss) words='' ;;
        --memory-max-heap) words='' ;;
        --memory-pressure) words='' ;;
        --memory-trim) words='on off' ;;
        --poison-deaths) words='' ;;
        --poison-window) words='' ;;
        --poison-block) words='' ;;
        --poison-cell) words='on off' ;;
        --poison-cell-requests) words='' ;;
        --poison-cell-timeout) words='' ;;
        --poison-cell-memory) words='' ;;
        --shed-event-loop-delay) words='' ;;
        --shed-in-flight) words='' ;;
        --shed-retry-after) words='' ;;
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
        --reload-mirror) words='off safe' ;;
        --reload-mirror-routes) words='' ;;
        --reload-mirror-credentials) words='off on' ;;
        --reload-mirror-rate) words='' ;;
        --reload-mirror-requests) words='' ;;
        --reload-mirror-time) words='' ;;
        --reload-mirror-differences) words='' ;;
        --metrics-enabled) words='on off' ;;
        --metrics-http) words='on off' ;;
        --metrics-app) words='on off' ;;
        --log-level) words='trace debug info warn error fatal silent' ;;
        --log-format) words='auto pretty journal json' ;;
        --log-dir) file=1 ;;
        --log-stats-interval) words='' ;;
        --record-size) words='' ;;
        --notify-command) words='' ;;
        --notify-webhook) words='' ;;
        --notify-webhook-file) file=1 ;;
        --notify-token-file) file=1 ;;
        --notify-interval) words='' ;;
        --notify-unhealthy-after) words='' ;;
        --scale-target) words='' ;;
        --scale-down-after) words='' ;;
        --deploy-source) words='' ;;
        --deploy-ref) words='' ;;
        --deploy-sha256) words='' ;;
        --deploy-directory) file=1 ;;
        --deploy-install) words='' ;;
        --deploy-build) words='' ;;
        --deploy-test) words='' ;;
        --deploy-steps) words='' ;;
        --deploy-step-timeout) words='' ;;
        --deploy-fetch-timeout) words='' ;;
        --deploy-user) words='' ;;
        --deploy-env) words='' ;;
        --deploy-keep) words='' ;;
        --deploy-min-free) words='' ;;
        --deploy-min-free-inodes) words='' ;;
        --deploy-schedule) words='' ;;
        --deploy-window) words='' ;;
        --deploy-hook-secret-file) file=1 ;;
        --deploy-hook-branch) words='' ;;
        --fleet-redis-url) words='' ;;
        --fleet-redis-url-file) file=1 ;;
        --fleet-name) words='' ;;
        --fleet-host) words='' ;;
        --fleet-tls-ca) file=1 ;;
        --fleet-canary-host) words='' ;;
        --fleet-reload) words='one-at-a-time any' ;;
        --access-log-format) words='off combined json' ;;
        --access-log-file) file=1 ;;
        --access-log-sample) words='' ;;
        --access-log-errors) words='on off' ;;
        --access-log-slow) words='' ;;
        --access-log-request-id) words='on off' ;;
        --access-log-trusted-proxies) words='' ;;
        --name) words='' ;;
        --unit) words='' ;;
        *)
          words='--config --kind --wait-ready --args --node-args --working-directory --mode --workers --port --host --listen-wait --socket-mode --node-env --dispatch --balance --sticky --sticky-cookie --max-old-space-size --max-semi-space-size --memory-budget --worker-ports --keep-alive-timeout --boot-timeout --drain-timeout --lame-duck --linger --hang-timeout --orphan-timeout --websockets --redact --control-socket --state-dir --admin --admin-token-file --admin-socket-mode --routes-prefix --spares --max-age --max-requests --start-probe --health-slow-delay --health-slow-limit --health-probe --health-check --health-check-interval --health-check-timeout --health-check-failures --health-master-timeout --health-capture --health-stall-report --memory-max-rss --memory-max-heap --memory-pressure --memory-trim --poison-deaths --poison-window --poison-block --poison-cell --poison-cell-requests --poison-cell-timeout --poison-cell-memory --shed-event-loop-delay --shed-in-flight --shed-retry-after --restart-intensity --restart-window --restart-crash-delay --restart-crash-delay-max --restart-boot-delay --restart-boot-delay-max --reload-soak --reload-probe --reload-probe-timeout --reload-max-errors --reload-max-latency --reload-mirror --reload-mirror-routes --reload-mirror-credentials --reload-mirror-rate --reload-mirror-requests --reload-mirror-time --reload-mirror-differences --metrics-enabled --metrics-http --metrics-app --log-level --log-format --log-dir --log-stats-interval --record-size --notify-command --notify-webhook --notify-webhook-file --notify-token-file --notify-interval --notify-unhealthy-after --scale-target --scale-down-after --deploy-source --deploy-ref --deploy-sha256 --deploy-directory --deploy-install --deploy-build --deploy-test --deploy-steps --deploy-step-timeout --deploy-fetch-timeout --deploy-user --deploy-env --deploy-keep --deploy-min-free --deploy-min-free-inodes --deploy-schedule --deploy-window --deploy-hook-secret-file --deploy-hook-branch --fleet-redis-url --fleet-redis-url-file --fleet-name --fleet-host --fleet-tls-ca --fleet-canary-host --fleet-reload --access-log-format --access-log-file --access-log-sample --access-log-errors --access-log-slow --access-log-request-id --access-log-trusted-proxies --name --unit --all --json --help'
          if [[ $cur != -* ]]; then file=1; fi
          ;;
      esac
      ;;
    reload)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--no-soak --no-rollback --fleet --json --name --control-socket --config --help'
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
    upgrade)
      case $prev in
        --node) words='' ;;
        --keep) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--node --keep --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    deploy)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--dry-run --fleet --init --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    rollback)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--json --name --control-socket --config --help'
          ;;
      esac
      ;;
    releases)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--json --name --control-socket --config --help'
          ;;
      esac
      ;;
    jobs)
      case $prev in
        --run) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='run log --run --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    queues)
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
    notify)
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
    status)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--watch --fleet --routes --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    top)
      case $prev in
        -n | --number) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--number --name --control-socket --config --help'
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
    logs)
      case $prev in
        -n | --lines) words='' ;;
        --worker) words='' ;;
        --level) words='' ;;
        --since) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--follow --lines --worker --level --since --json --name --control-socket --config --help'
          ;;
      esac
      ;;
    dashboard)
      case $prev in
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--no-open --name --control-socket --config --help'
          ;;
      esac
      ;;
    why)
      case $prev in
        --since) words='' ;;
        -n | --number) words='' ;;
        --name) words='' ;;
        --control-socket) file=1 ;;
        --config) file=1 ;;
        *)
          words='--since --number --json --name --control-socket --config --help'
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
          words='--no-summary --name --control-socket --config --help'
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
    replay)
      case $prev in
        --name) words='' ;;
        --config) file=1 ;;
        *)
          words='--why --json --name --config --help'
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
