"""The terminal: one file for each command group. Calls `app`, prints, and ends with an exit code that a script can use.

0 done · 1 problems were found, or what was asked failed · 2 wrong usage · 3 no such thing · 4 a server or the store could not be reached
"""
