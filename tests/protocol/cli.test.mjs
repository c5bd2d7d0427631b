// SPDX-License-Identifier: MIT
// The command line: what is refused, in which words, and what is printed. MADANG_BIN is the program.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

const bin = process.env.MADANG_BIN
const limit = 100_000 // ms a run may take, on a busy machine with sanitizers
let folder

// Runs the program with only the variables given, and says how it ended.
function run(args, env = {}) {
  return new Promise((resolve, reject) => {
    const kept = Object.entries(process.env).filter(([name]) => /^(PATH|[ATU]?[BS]?SAN_OPTIONS|LSAN_OPTIONS)$/.test(name))
    const options = { env: { ...Object.fromEntries(kept), ...env }, timeout: limit, maxBuffer: 1 << 24 }
    execFile(bin, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ code: error ? error.code : 0, stdout, stderr })
    })
  })
}

async function accepted(args, env) {
  const { code, stdout, stderr } = await run(args, env)
  assert.equal(stderr, '')
  assert.equal(code, 0)
  return stdout
}

// Refused: exit code 1, nothing on standard output, and exactly these lines.
async function refused(args, lines, env) {
  const { code, stdout, stderr } = await run(args, env)
  assert.equal(stderr, [lines].flat().map((line) => line + '\n').join(''))
  assert.equal(stdout, '')
  assert.equal(code, 1)
}

async function file(text) {
  const name = join(folder, `${Math.random().toString(36).slice(2)}.ini`)
  await writeFile(name, text)
  return name
}

// The text of `check` as { "section key": { values, source } }.
function parse(text) {
  const options = {}
  let section
  for (const line of text.split('\n')) {
    const header = /^\[(.*)\]$/.exec(line)
    const option = /^(\w+) = (.*?) *  ?; (.*)$/.exec(line)
    if (header) section = header[1]
    else if (option) {
      const entry = (options[`${section} ${option[1]}`] ??= { values: [], source: option[3] })
      entry.values.push(option[2])
    } else assert.equal(line, '')
  }
  return options
}

// The options of docs/OPTIONS.md, which is made from the table and compared with it below.
async function table() {
  const text = await readFile(new URL('../../docs/OPTIONS.md', import.meta.url), 'utf8')
  const rows = []
  let section
  for (const line of text.split('\n')) {
    section = /^## \[(.*)\]$/.exec(line)?.[1] ?? section
    const row = /^\| `(\w+)` \| `(--[\w-]+)` \| `(MADANG_\w+)` \|/.exec(line)
    if (row) rows.push({ section, key: row[1], flag: row[2], variable: row[3] })
  }
  return rows
}

before(async () => {
  assert.ok(bin, 'MADANG_BIN must name the program')
  folder = await mkdtemp(join(tmpdir(), 'madang-cli-'))
})
after(() => rm(folder, { recursive: true, force: true }))

describe('verbs', () => {
  it('without a verb says how to use it, and fails', async () => {
    const { code, stdout, stderr } = await run([])
    assert.equal(code, 1)
    assert.equal(stdout, '')
    for (const verb of ['serve', 'check', 'version', 'help']) assert.match(stderr, new RegExp(`madang ${verb}\\b`))
  })

  it('refuses an unknown verb with the nearest one', async () => {
    await refused(['sevre'], 'madang: unknown verb "sevre"; did you mean serve?')
    await refused(['--serve'], 'madang: unknown verb "--serve"; did you mean serve?')
    await refused(['dance'], 'madang: unknown verb "dance"; `madang help` lists what there is')
    await refused(['help', 'sevre'], 'madang: unknown verb "sevre"; did you mean serve?')
  })

  it('escapes what could disturb a terminal', async () => {
    await refused(['\x1b[2Jx'], 'madang: unknown verb "\\x1B[2Jx"; `madang help` lists what there is')
  })

  it('prints the version', async () => {
    assert.match(await accepted(['version']), /^madang \d+\.\d+\.\d+\n$/)
    assert.match(await accepted(['--version']), /^madang \d+\.\d+\.\d+\n$/)
    await refused(['version', 'x'], 'madang: unexpected word "x"; `madang help` lists what there is')
  })

  it('helps in the same words however it is asked', async () => {
    assert.equal(await accepted(['--help']), await accepted(['help']))
    assert.equal(await accepted(['-h']), await accepted(['help']))
    for (const verb of ['serve', 'check', 'version', 'help']) {
      const text = await accepted(['help', verb])
      assert.ok(text.startsWith(`usage: madang ${verb}`), text.slice(0, 80))
      assert.equal(await accepted([verb, '--help']), text)
      assert.equal(await accepted([verb, '-h']), text)
    }
    await refused(['help', 'serve', 'x'], 'madang: unexpected word "x"; `madang help` lists what there is')
  })

  it('fails if its output cannot be written', async () => {
    const { code } = await new Promise((resolve) =>
      execFile('sh', ['-c', `exec "${bin}" help >/dev/full`], { timeout: limit }, (error) => resolve({ code: error?.code })),
    )
    assert.equal(code, 1)
  })
})

describe('the table', () => {
  it('is what docs/OPTIONS.md says', async () => {
    const committed = await readFile(new URL('../../docs/OPTIONS.md', import.meta.url), 'utf8')
    assert.equal(await accepted(['help', '--markdown']), committed, 'run: madang help --markdown >docs/OPTIONS.md')
  })

  it('stands whole in --help, with flag, variable and key', async () => {
    const rows = await table()
    assert.ok(rows.length > 40, `${rows.length} options`)
    for (const verb of ['serve', 'check']) {
      const words = (await accepted([verb, '--help'])).replace(/\s+/g, ' ')
      for (const { flag, variable, section, key } of rows) {
        assert.ok(words.includes(` ${flag} `), flag)
        assert.ok(words.includes(` ${variable}, [${section}] ${key} `), variable)
      }
      assert.ok(words.includes('--config FILE') && words.includes('MADANG_CONFIG'))
    }
  })

  it('stands whole in check', async () => {
    const options = parse(await accepted(['check']))
    const rows = await table()
    assert.deepEqual(Object.keys(options), rows.map(({ section, key }) => `${section} ${key}`))
    for (const { source } of Object.values(options)) assert.equal(source, 'default')
  })

  it('gives every option the same meaning in all three ways', async () => {
    const rows = await table()
    const options = parse(await accepted(['check']))
    for (const row of rows) row.values = options[`${row.section} ${row.key}`].values
    // In each round about half of them are said, and no two options in the same rounds: none can stand for
    // another. (Each alone would take hundreds of runs.)
    for (let bit = 1; bit <= rows.length; bit *= 2) {
      const said = rows.filter((_, i) => (i + 1) & bit)
      const valueOf = ({ values }) => values.join(' ')
      const name = await file(said.map((row) => `[${row.section}]\n${row.key} = ${valueOf(row)}\n`).join(''))
      const ways = [
        [said.map((row) => `${row.flag}=${valueOf(row)}`), {}, ({ flag }) => flag],
        [[], Object.fromEntries(said.map((row) => [row.variable, valueOf(row)])), ({ variable }) => variable],
        [['--config', name], {}, (row) => `${name}:${2 * said.indexOf(row) + 2}`],
      ]
      for (const [args, env, sourceOf] of ways) {
        const got = parse(await accepted(['check', ...args], env))
        for (const row of rows) {
          const { values, source } = got[`${row.section} ${row.key}`]
          assert.deepEqual(values, row.values, row.flag)
          // An empty list that is said again leaves nothing to mark but its source.
          assert.equal(source, said.includes(row) ? sourceOf(row) : 'default')
        }
      }
    }
  })
})

describe('flags', () => {
  it('are refused by name, with what is allowed', async () => {
    await refused(['check', '--auth', 'oidc'], '--auth: "oidc" is not supported; allowed: guest, insecure, jwt')
    await refused(['check', '--local-durability', 'disk'], '--local-durability: "disk" is not supported; allowed: full, process')
    await refused(['check', '--backplane=kafka'], '--backplane: "kafka" is not supported; allowed: local, redis')
    await refused(['check', '--hubs', '-1'], '--hubs: "-1" is not a number; allowed: 0 to 64')
    await refused(['check', '--hubs', '65'], '--hubs: "65" is out of range; allowed: 0 to 64')
    await refused(['check', '--ping-interval', '10ms'],
      '--ping-interval: "10ms" is out of range; allowed: 1s to 1h, as in 500ms, 25s, 2m, 24h')
    await refused(['check', '--queue-bytes', '1MB'],
      '--queue-bytes: "1MB" is not a size; allowed: 4KiB to 1GiB, as in 512, 64KiB, 1MiB')
    await refused(['check', '--listen', 'localhost'],
      '--listen: "localhost" cannot be used; allowed: HOST:PORT, where HOST is an IPv4 address, ' +
        'an IPv6 address in brackets or localhost, and PORT is 0 to 65535; or unix:/PATH; ' +
        'each of them with proxy: in front or not')
    await refused(['check', '--hubs'], '--hubs: a value is missing; allowed: 0 to 64')
  })

  it('that are unknown come with the nearest one', async () => {
    await refused(['check', '--lisen', 'x'], 'unknown option "--lisen"; did you mean --listen?')
    await refused(['check', '--presence', 'on'], 'unknown option "--presence"; did you mean --rooms-presence?')
  })

  it('of features that do not exist are unknown', async () => {
    await refused(['check', '--nats-url', 'x'], 'unknown option "--nats-url"; --help lists what there is')
  })

  it('are all looked at before giving up', async () => {
    await refused(['check', '--hubs', 'x', '--auth=y', 'z'], [
      '--hubs: "x" is not a number; allowed: 0 to 64',
      '--auth: "y" is not supported; allowed: guest, insecure, jwt',
      'unexpected word "z"; --help lists what there is',
    ])
  })

  it('stop serve before it starts', async () => {
    await refused(['serve', '--listen', '127.0.0.1:0', '--hubs', 'x'], '--hubs: "x" is not a number; allowed: 0 to 64')
  })
})

describe('the environment', () => {
  it('is refused by name', async () => {
    await refused(['check'], 'MADANG_AUTH: "oidc" is not supported; allowed: guest, insecure, jwt', { MADANG_AUTH: 'oidc' })
    await refused(['check'], 'MADANG_HUBS: "" is not a number; allowed: 0 to 64', { MADANG_HUBS: '' })
    await refused(['check'], 'MADANG_LISTN: unknown variable; did you mean MADANG_LISTEN?', { MADANG_LISTN: 'x' })
  })

  it('of others is left alone', async () => {
    await accepted(['check'], { MADANG_BIN: bin, MADANG_PORT: 'tcp://10.0.0.1:8000', MADANG_SERVICE_HOST: '10.0.0.1' })
  })
})

describe('the file', () => {
  it('is refused by line', async () => {
    const name = await file('[gateway]\nhubs = 3\n\n[cleint]\nping_interval = 1s\n[client]\nqueue_byte = 1\n[rooms chat]\npresence = maybe\nword\n')
    await refused(['check', '--config', name], [
      `${name}:4: unknown section "cleint"; did you mean client?`,
      `${name}:7: unknown option "queue_byte" in [client]; did you mean queue_bytes?`,
      `${name}:9: presence: "maybe" is neither on nor off; allowed: on, off`,
      `${name}:10: expected key = value`,
    ])
  })

  it('that is missing is told', async () => {
    const name = join(folder, 'missing.ini')
    await refused(['check', `--config=${name}`], `${name}: No such file or directory`)
    await refused(['check'], `${name}: No such file or directory`, { MADANG_CONFIG: name })
  })

  it('tells what does not fit together, and who said it', async () => {
    const name = await file('[rooms chat]\nhistory_size = 0\nforce_recovery = on\n[client]\nping_interval = 5s\n')
    await refused(['check', '--config', name, '--pong-timeout', '6s'], [
      `[client] pong_timeout (6s, --pong-timeout) must be less than [client] ping_interval (5s, ${name}:5)`,
      `[rooms chat] force_recovery (on, ${name}:3) needs a stream: set history_size and history_bytes`,
    ])
  })
})

describe('check', () => {
  it('says where each value comes from; later sources win', async () => {
    const name = await file('[gateway]\nhubs = 1\nmax_connections = 100\nlisten = 127.0.0.1:1\nlog_level = warn\n[rooms chat]\nhistory_ttl = 60m\n')
    const env = { MADANG_CONFIG: name, MADANG_HUBS: '2', MADANG_MAX_CONNECTIONS: '200' }
    const options = parse(await accepted(['check', '--hubs', '3', '--listen', 'localhost:2'], env))
    assert.deepEqual(options['gateway hubs'], { values: ['3'], source: '--hubs' })
    assert.deepEqual(options['gateway max_connections'], { values: ['200'], source: 'MADANG_MAX_CONNECTIONS' })
    assert.deepEqual(options['gateway log_level'], { values: ['warn'], source: `${name}:5` })
    assert.deepEqual(options['gateway listen'], { values: ['127.0.0.1:2', '[::1]:2'], source: '--listen' })
    assert.deepEqual(options['gateway auth'], { values: ['guest'], source: 'default' })
    assert.deepEqual(options['rooms chat history_ttl'], { values: ['1h'], source: `${name}:7` })
    assert.deepEqual(options['rooms history_ttl'], { values: ['24h'], source: 'default' })
  })

  it('does not show what is secret', async () => {
    for (const text of [await accepted(['check', '--api-key', 'the-secret']), await accepted(['check'], { MADANG_API_KEY: 'the-secret' })]) {
      assert.ok(!text.includes('the-secret'), text)
      assert.match(text, /^; key = \(not shown\) +; (--api-key|MADANG_API_KEY)$/m)
    }
    await refused(['check', '--api-key', 'with space'], '--api-key: the value cannot be used; allowed: printable ASCII without spaces')
  })

  it('prints what can be used as a file', async () => {
    const args = ['--listen', '10.0.0.1:80,[::]:80', '--allowed-origins', 'https://chat.example.org', '--rooms-history-size', '0']
    const first = await accepted(['check', ...args])
    const second = await accepted(['check', '--config', await file(first)])
    const values = (text) => Object.entries(parse(text)).map(([name, option]) => [name, option.values])
    assert.deepEqual(values(second), values(first))
  })
})
