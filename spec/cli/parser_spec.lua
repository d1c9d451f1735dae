local program = require "spec.cli.program"
local support = require "spec.support"

describe("the words of a command", function()
  it("are explained for each noun and each verb", function()
    local all, manual = program.run("help").out, program.run("help manual").out
    assert.equal(all, program.run("-h").out)
    for noun in all:match "Commands:(\n.-)\n\n":gmatch "\n   (%l+) " do
      local result = program.run("help " .. noun)
      assert.equal(0, result.code, noun)
      assert.matches(noun, result.out)
      for verb in (result.out:match "Commands:(\n.*)$" or ""):gmatch "\n   (%l+) " do
        assert.is_truthy(manual:find(("\nzuora %s %s [options]"):format(noun, verb), 1, true), verb)
      end
    end
    local text = program.run("report run --help").out
    assert.matches("^Usage: zuora report run %[options%] NAME%-OR%-ID\n", text)
    assert.equal(text, program.run("help report run").out)
    local margin = "\n" .. (" "):rep(25)
    assert.matches("\n\nOptions:\n.*\n   %-o, %-%-output FILE" .. margin .. "Write [^\n]+" .. margin
      .. "there.\n.*\n\nWhich tenant[^\n]*:\n   %-%-profile NAME ", text)
    assert.matches("^Usage: zuora report VERB %[options%]\n\nSearch, run and fetch reports%.\n", program.run("help report").out)
  end)

  it("that are wrong are told on standard error, with what would be right", function()
    for words, problem in pairs {
      [""] = "^Usage: zuora COMMAND",
      ["reprot"] = "^zuora: there is no command 'reprot'; zuora help lists them\n$",
      ["report rnu"] = "^zuora: unknown command 'rnu'%. Did you mean 'run'%?\nUsage: zuora report ",
      ["report run"] = "^zuora: missing argument 'NAME%-OR%-ID'\nUsage: zuora report run %[options%] NAME%-OR%-ID\n$",
      ["report run a --poll=-1"] = "^zuora: '%-1' is no number of 0 or more\n",
      ["report run a --poll 1e999"] = "^zuora: '1e999' is no number of 0 or more\n",
      ["tap -c x --cancel-on-interrupt"] = "^zuora: unknown option '%-%-cancel%-on%-interrupt'",
      ["report run a --wait 1 --no-wait"] = "can not be used together",
      ["report run a -o ''"] = "^zuora: '' is no path\n",
      ["tap -c ''"] = "^zuora: '' is no path\n",
      ["report list --limit 0"] = "^zuora: '0' is no whole number above 0\n",
      ["report run a b"] = "^zuora: too many arguments\n",
      [ [[$'a\e[2Jb']] ] = "^zuora: there is no command 'a%?%[2Jb'",
      [ [[report run a --x$'\e[2J']] ] = "^zuora: unknown option '%-%-x %[2J'",
      ["extract run"] = "^zuora: missing argument 'PLAN'\n",
    } do
      local result = program.run(words)
      assert.equal(2, result.code, words)
      assert.equal("", result.out, words)
      assert.matches(problem, result.err)
    end
  end)

  it("are completed by the shells", function()
    local dir = support.scratch "cli-parser"
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      local result = program.run("completion " .. shell)
      assert.equal(0, result.code)
      assert.equal("", result.err)
      support.write(dir .. "/" .. shell, result.out)
      if os.execute("command -v " .. shell .. " > /dev/null") then
        assert.same({ "", 0 }, { support.shell(("%s -n %s/%s"):format(shell, dir, shell)) })
      end
    end
    assert.equal("run\n--cancel-on-interrupt\n", (support.shell(([[bash -c '. %s/bash
      COMP_WORDS=(zuora report ru); COMP_CWORD=2; _zuora; echo "${COMPREPLY[@]}"
      COMP_WORDS=(zuora report run --can); COMP_CWORD=3; _zuora; echo "${COMPREPLY[@]}"']]):format(dir))))
  end)

  it("fill the manual page", function()
    local text = program.run("help manual").out
    for _, words in ipairs { "*zuora report run*", "zuora report run [options] NAME-OR-ID", "*zuora job submit*",
      "   -d, --directory DIR\n", "*Exit codes*", "ZUORA_CLIENT_SECRET", "   --cancel-on-interrupt" } do
      assert.is_truthy(text:find(words, 1, true), words)
    end
    local path = support.scratch "cli-manual" .. "/zuora.1"
    local told, status = support.shell(("make -s MANUAL=%s doc && man -l %s | col -b"):format(path, path))
    assert.equal(0, status, told)
    assert.matches("\nSYNOPSIS\n +zuora COMMAND", told)
    assert.matches("\nZUORA REPORT RUN\n", told)
    assert.matches("\nEXIT CODES\n", told)
  end)
end)
