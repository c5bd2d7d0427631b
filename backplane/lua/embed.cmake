# SPDX-License-Identifier: MIT
# cmake -DFROM=<this folder> -DTO=<file.c> -P embed.cmake: the scripts as C strings, each behind the
# line that tells the server what it is and behind what it has in common with the others.
function(text file out)
  file(READ ${FROM}/${file}.lua lua)
  string(REGEX REPLACE "(^|\n)--[^\n]*" "" lua "${lua}") # servers need not read comments
  string(REPLACE "\\" "\\\\" lua "${lua}")
  string(REPLACE "\"" "\\\"" lua "${lua}")
  string(REPLACE "\n" "\\n\"\n  \"" lua "${lua}")
  set(${out} "${lua}" PARENT_SCOPE)
endfunction()

text(room room)
string(CONCAT c "/* Made of ${FROM} by embed.cmake. */\n"
  "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n")
# Scripts that read, or that free memory, run when the server is out of it.
foreach(name commit read:allow-oom check:allow-oom remove:allow-oom redact:allow-oom generation:allow-oom
    servers:allow-oom share:allow-oom grow follow:allow-oom attend memory)
  string(REGEX REPLACE ":.*" "" script ${name})
  string(REGEX MATCH ":.*" flags "${name}")
  string(REPLACE ":" " flags=" flags "${flags}")
  string(REPLACE grow share file ${script}) # the same, for what is refused when memory is out
  string(REPLACE attend follow file ${file})
  text(${file} body)
  string(APPEND c "extern const char redis_lua_${script}[];\n"
    "const char redis_lua_${script}[] =\n  \"#!lua${flags}\\n\"\n  \"${room}${body}\";\n")
endforeach()
file(WRITE ${TO} "${c}")
