"""Commands of Windows: PowerShell and cmd taken apart, their cmdlets and programs judged by tables of their own."""
