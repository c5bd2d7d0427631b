-- SPDX-License-Identifier: MIT
-- Whether the server has memory: a script that may write is refused when it has none.
return 1
