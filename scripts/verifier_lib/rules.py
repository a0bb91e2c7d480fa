def check(key): pass
