# frozen_string_literal: true

# The real Sidekiq: `sidekiq -r ./sidekiq.rb -c 10` runs the jobs, `ruby sidekiq.rb VERB ...` enqueues them.
#
# The same shared memory, slots and words as peers/tally.py and peers/driving.py. Ruby has no mmap of its own; Fiddle,
# of its standard library, calls libc's. A job writes its thread's count there: some 250 ns, no system call, nothing
# that gives up the interpreter's lock.

require 'fiddle'
require 'json'
require 'sidekiq'

module Tally
  WIDTH = 8
  SLOTS = 64
  SENT = SLOTS * WIDTH
  STAMPS = 65_536
  STARTED = SENT + STAMPS
  PATH = ENV.fetch('BENCH_TALLY')
  BYTES = (STARTED + STAMPS) * 8

  CELLS = File.open(PATH, 'r+b') do |file|
    void, int = Fiddle::TYPE_VOIDP, Fiddle::TYPE_INT
    types = [void, Fiddle::TYPE_SIZE_T, int, int, int, Fiddle::TYPE_LONG]
    mmap = Fiddle::Function.new(Fiddle::Handle::DEFAULT['mmap'], types, void)
    read_write, shared = 3, 1
    Fiddle::Pointer.new(mmap.call(0, BYTES, read_write, shared, file.fileno, 0).to_i, BYTES)
  end

  def self.now
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  end

  def self.write(cell, value)
    CELLS[cell * 8, 8] = [value].pack('q')
  end

  def self.read(cell)
    CELLS[cell * 8, 8].unpack1('q')
  end

  def self.claim
    File.open(PATH, 'rb') do |file|
      file.flock(File::LOCK_EX)
      slot = read(0) + 1
      raise "more than #{SLOTS - 1} threads run jobs" if slot >= SLOTS

      write(0, slot)
      write(WIDTH * slot + 1, now)
      [WIDTH * slot, 0]
    end
  end

  def self.count
    mine = Thread.current[:tally] ||= claim
    write(mine[0], mine[1] += 1)
  end
end

class Noop
  include Sidekiq::Job

  def perform(_number)
    Tally.count
  end
end

class Sleep1
  include Sidekiq::Job

  def perform(_number)
    sleep 0.001
    Tally.count
  end
end

class Sleep10
  include Sidekiq::Job

  def perform(_number)
    sleep 0.01
    Tally.count
  end
end

class Cpu
  include Sidekiq::Job

  def perform(_number)
    deadline = spent + 100_000
    nil while spent < deadline
    Tally.count
  end

  def spent
    Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
  end
end

class Payload
  include Sidekiq::Job

  def perform(_number, _text)
    Tally.count
  end
end

class Stamp
  include Sidekiq::Job

  def perform(number, milliseconds = 0)
    Tally.write(Tally::STARTED + number, Tally.now)
    sleep milliseconds / 1000.0 if milliseconds.positive?
    Tally.count
  end
end

module Producer
  BATCH = 1_000
  WARM = 10
  LONG = 100
  TEXT = ('x' * 1_000).freeze

  def self.arguments(job, number)
    job == 'Payload' ? [number, TEXT] : [number]
  end

  def self.fill(job, count)
    (0...count).each_slice(BATCH) do |numbers|
      Object.const_get(job).perform_bulk(numbers.map { |number| arguments(job, number) }, batch_size: BATCH)
    end
  end

  def self.pace(first, count, rate, burst)
    WARM.times { Noop.perform_async(0) }
    began = Tally.now
    (first...(first + count)).each do |number|
      if ((number - first) % burst).zero?
        ahead = began + ((number - first) / rate * 1e9).to_i - Tally.now
        sleep ahead / 1e9 if ahead.positive?
      end
      late = burst > 1 && (number % LONG).zero? ? 1_000 : 0
      Tally.write(Tally::SENT + number, Tally.now)
      Stamp.perform_async(number, late)
    end
  end

  def self.cpu
    Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
  end

  def self.timed(jobs, seconds)
    WARM.times { yield }
    began, spent = Tally.now, cpu
    calls = 0
    while Tally.now < began + seconds * 1e9
      yield
      calls += 1
    end
    puts JSON.generate(jobs: calls * jobs, seconds: (Tally.now - began) / 1e9, cpu: cpu - spent, warm: WARM * jobs)
  end

  def self.main(verb, *words)
    case verb
    when 'fill' then fill(words[0], words[1].to_i)
    when 'pace' then pace(words[0].to_i, words[1].to_i, words[2].to_f, words[3].to_i)
    when 'enqueue' then timed(1, words[0].to_f) { Noop.perform_async(1) }
    when 'bulk'
      batch = (0...BATCH).map { |number| [number] }
      timed(BATCH, words[0].to_f) { Noop.perform_bulk(batch, batch_size: BATCH) }
    when 'version' then puts "#{Sidekiq::VERSION} on Ruby #{RUBY_VERSION}"
    else abort "not understood: #{verb} #{words.join(' ')}"
    end
  end
end

Producer.main(*ARGV) if $PROGRAM_NAME == __FILE__
