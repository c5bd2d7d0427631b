# SPDX-License-Identifier: MIT
# cmake -DFROM=<this folder> -DTO=<file.c> -P embed.cmake: the scripts as C strings, each behind the
# line that tells the server what it is and behind what it has in common with the others.
function(text file out)
  file(READ ${FROM}/${file}.lua lua)
  string(REGEX REPLACE "(^|\n| ) *--[^\n]*" "\\1" lua "${lua}") # servers need not read comments
  string(REGEX REPLACE "\n[ \n]+" "\n" lua "${lua}")
  string(REPLACE "\\" "\\\\" lua "${lua}")
  string(REPLACE "\"" "\\\"" lua "${lua}")
  string(REPLACE "\n" "\\n\"\n  \"" lua "${lua}")
  set(${out} "${lua}" PARENT_SCOPE)
endfunction()

text(room room)
text(queue queue_put_only)
text(queue_job queue_job)
set(queue "${queue_put_only}${queue_job}")
string(CONCAT c "/* Made of ${FROM} by embed.cmake. */\n"
  "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n")

# Scripts that read, or that free memory, run when the server is out of it.
function(script name common)
  string(REGEX REPLACE ":.*" "" script ${name})
  string(REGEX MATCH ":.*" flags "${name}")
  string(REPLACE ":" " flags=" flags "${flags}")
  string(REPLACE commit_cause commit file ${script}) # the same, with what puts a job
  string(REPLACE grow share file ${file}) # the same, for what is refused when memory is out
  string(REPLACE attend follow file ${file})
  text(${file} body)
  set(c "${c}extern const char redis_lua_${script}[];
const char redis_lua_${script}[] =\n  \"#!lua${flags}\\n\"\n  \"${common}${body}\";\n" PARENT_SCOPE)
endfunction()

foreach(name commit read:allow-oom check:allow-oom remove:allow-oom redact:allow-oom generation:allow-oom
    servers:allow-oom share:allow-oom grow follow:allow-oom attend memory)
  script(${name} "${room}")
endforeach()

# A put as a function of its own, of which nothing is looked at before it is called.
text(queue_put put)
set(cause "local function cause(KEYS, ARGV)\\n\"\n  \"${queue_put_only}unbounded = true\\n\"\n  \"${put}end\\n\"\n  \"")
script(commit_cause "${room}${cause}")

# Those of queues are for other programs too, which call them as functions by name.
set(library "#!lua name=madang_queue\\n\"\n  \"${queue}")
foreach(name queue_put queue_take:allow-oom queue_settle:allow-oom queue_look:allow-oom
    queue_pick:allow-oom queue_control:allow-oom queue_sweep:allow-oom queue_due:allow-oom)
  script(${name} "${queue}")
  string(REGEX REPLACE ":.*" "" file ${name})
  string(REGEX MATCH "allow-oom" flag "${name}")
  string(REGEX REPLACE "(.+)" "'\\1'" flag "${flag}")
  text(${file} body)
  string(APPEND library "redis.register_function{function_name='madang_${file}',flags={${flag}},"
    "callback=function(KEYS, ARGV)\\n\"\n  \"${body}end}\\n\"\n  \"")
endforeach()
string(APPEND c "extern const char redis_lua_queue_library[];\n"
  "const char redis_lua_queue_library[] =\n  \"${library}\";\n")
file(WRITE ${TO} "${c}")
