def csrf_failure(request, reason=""):
    raise PermissionError(reason)
