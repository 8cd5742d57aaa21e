# Stands in for Homebrew: evaluates a formula's class and prints what its service would be, as JSON.
require "json"

class Path < String
  def /(other)
    Path.new("#{self}/#{other}")
  end
end

class Service
  attr_reader :told

  def initialize
    @told = {}
  end

  def opt_bin = Path.new("/brew/opt/rom-agent/bin")
  def etc = Path.new("/brew/etc")
  def var = Path.new("/brew/var")
  def std_service_path_env = "/brew/bin:/usr/bin:/bin"

  %i[run keep_alive working_dir log_path error_log_path process_type environment_variables].each do |name|
    define_method(name) { |value = nil, **named| @told[name] = value || named }
  end
end

class Formula
  class << self
    attr_reader :told

    %i[desc homepage url sha256 license depends_on].each do |name|
      define_method(name) { |value| (@told ||= {})[name] = value }
    end

    def service(&block)
      service = Service.new
      service.instance_eval(&block)
      @told[:service] = service.told
    end

    def test = nil
  end
end

load ARGV.fetch(0)
puts JSON.generate(RomAgent.told)
