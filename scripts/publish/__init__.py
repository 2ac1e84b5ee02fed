# SPDX-License-Identifier: Apache-2.0
"""The parts of scripts/publish-driver and scripts/sign-repository. Python 3.9 and its standard library; openssl signs.

  say.py       what goes wrong, in one line with an exit status as the agent's; progress
  settings.py  pulp-cli's configuration, PULP_ variables, netrc and the command line, as one value
  http.py      one request: TLS, credentials, time limits, what a server that is none answers
  pulp.py      Pulp's REST API: look, make what is absent, wait for a task, upload in chunks
  guests.py    the repository as guests see it, over the content app
  files.py     the files to publish, and what the agent's `index` says of each
  document.py  vgpu-index.json: which entries stay, serial, expiry, signature
  work.py      the whole: plan, upload, modify, publish, look, switch, prove
  lines.py     what is printed in the end: the lines to paste, the commands of the documentation
"""
