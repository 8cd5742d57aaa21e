# Homebrew's formula. `make formula` fills in the words between @ signs from the tarball of `npm pack`, and writes
# build/homebrew/rom-agent.rb.
class RomAgent < Formula
  desc "Runs a Node.js web service on every core, as a native service"
  homepage "@HOMEPAGE@"
  url "@URL@"
  sha256 "@SHA256@"
  license "Apache-2.0"

  depends_on "node"

  def install
    system "npm", "install", *std_npm_args
    bin.install_symlink libexec/"bin/rom-agent"
    package = libexec/"lib/node_modules/rom-agent"
    man1.install_symlink package/"packaging/man/rom-agent.1"
    bash_completion.install_symlink package/"packaging/completion/rom-agent.bash" => "rom-agent"
    zsh_completion.install_symlink package/"packaging/completion/_rom-agent"
    fish_completion.install_symlink package/"packaging/completion/rom-agent.fish"
    (etc/"rom-agent").install "packaging/rom-agent.toml"
  end

  def post_install
    (var/"rom-agent").mkpath
    (var/"log").mkpath
  end

  def caveats
    <<~EOS
      `brew services` runs rom-agent as you, from #{etc}/rom-agent/rom-agent.toml, for development.
      A server wants the job in launchd/org.rom-agent.plist: an account of its own, and 45 s for a stop.
      launchd gives this one 20 s, so drain_timeout is 15 s here.
    EOS
  end

  # launchd under macOS, systemd under Linux.
  service do
    run [opt_bin/"rom-agent", "serve", "--config", etc/"rom-agent/rom-agent.toml"]
    # As in launchd/org.rom-agent.plist: after a failure, not after a stop that ended well.
    keep_alive successful_exit: false
    working_dir var/"rom-agent"
    log_path var/"log/rom-agent.log"
    error_log_path var/"log/rom-agent.log"
    process_type :interactive
    environment_variables PATH:                    std_service_path_env,
                          STATE_DIRECTORY:         var/"rom-agent",
                          RUNTIME_DIRECTORY:       var/"rom-agent/run",
                          ROM_AGENT_DRAIN_TIMEOUT: "15s"
  end

  test do
    port = free_port
    socket = testpath/"control.sock"
    pid = spawn bin/"rom-agent", "serve", "--port", port.to_s, "--control-socket", socket, "--state-dir", testpath
    begin
      system "curl", "--fail", "--silent", "--retry", "30", "--retry-delay", "1", "--retry-all-errors",
             "http://127.0.0.1:#{port}/readyz"
      system bin/"rom-agent", "health", "--control-socket", socket
    ensure
      Process.kill "TERM", pid
      Process.wait pid
    end
  end
end
